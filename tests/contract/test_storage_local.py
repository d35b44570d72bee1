"""The behaviour of file storage alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.adapters.storage.local import LocalStorage
from darkroom.contract.errors import DependencyUnavailableError


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


def test_a_signed_request_is_a_file_url_that_notes_its_end(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path, clock=lambda: 1_700_000_000.9)

    signed = storage.sign_download("a/b.jpg", content_type="image/jpeg", filename="b.jpg", lifetime_s=60)

    assert signed.url == f"file://{tmp_path}/a/b.jpg?expires=1700000060"
    assert signed.expires_at.timestamp() == 1_700_000_060
