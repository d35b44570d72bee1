"""The behaviour of file storage alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from darkroom.adapters.storage.local import LocalStorage
from darkroom.contract.errors import DependencyUnavailableError, InputExistsError, SignatureInvalidError


def test_a_put_that_fails_leaves_nothing_under_its_key(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("a", b"x", content_type="image/jpeg")

    with pytest.raises(DependencyUnavailableError):
        storage.put("a/b", b"x", content_type="image/jpeg")

    assert storage.info("a/b") is None
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("a/b", b"x", content_type="image/jpeg")

    with pytest.raises(DependencyUnavailableError):
        storage.delete("a")


def test_a_missing_root_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError, match=r"storage: .*no folder"):
        LocalStorage(tmp_path / "missing").check()


def test_a_signed_request_leads_to_the_functions(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path, public_endpoint="http://api.example/", clock=lambda: 1_700_000_000.9)

    signed = storage.sign_download("a/b.jpg", content_type="image/jpeg", filename="b.jpg", lifetime_s=60)

    assert signed.url.startswith("http://api.example/api/v1/files/a/b.jpg?expires=1700000060&")
    assert signed.expires_at.timestamp() == 1_700_000_060


def test_all_that_share_the_folder_share_its_signing_key(tmp_path: Path) -> None:
    ours, theirs = LocalStorage(tmp_path), LocalStorage(tmp_path)
    signed = urlsplit(ours.sign_upload("uploads/a", content_type="image/png", lifetime_s=60).url)

    assert theirs.verified("PUT", "uploads/a", parse_qsl(signed.query)).content_type == "image/png"
    key_file = tmp_path / ".signing-key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert len(key_file.read_bytes()) == 64
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_a_key_of_the_settings_takes_the_place_of_the_folders(tmp_path: Path) -> None:
    ours, others = LocalStorage(tmp_path, secret_key="ours"), LocalStorage(tmp_path, secret_key="theirs")
    signed = urlsplit(ours.sign_upload("uploads/a", content_type="image/png", lifetime_s=60).url)

    assert not (tmp_path / ".signing-key").exists()
    with pytest.raises(SignatureInvalidError):
        others.verified("PUT", "uploads/a", parse_qsl(signed.query))


def test_a_signing_key_that_was_cut_short_signs_nothing(tmp_path: Path) -> None:
    (tmp_path / ".signing-key").write_text("")

    with pytest.raises(DependencyUnavailableError, match="damaged"):
        LocalStorage(tmp_path).sign_upload("uploads/a", content_type="image/png", lifetime_s=60)


def test_of_uploads_at_once_one_is_stored(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)

    def upload(number: int) -> bool:
        with storage.incoming() as incoming:
            incoming.write_bytes(bytes([number]) * 1000)
            try:
                storage.create("uploads/a", incoming, content_type="image/png")
            except InputExistsError:
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(upload, range(8)))

    assert stored.count(True) == 1
    assert storage.get("uploads/a", max_bytes=1000) == bytes([stored.index(True)]) * 1000
    assert list((tmp_path / ".incoming").iterdir()) == []
