"""The promises of every storage, tested against a real S3 server, files, and the fake."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from darkroom.adapters.storage import MIN_PART_BYTES, Storage
from darkroom.adapters.storage.local import LocalStorage
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.contract.errors import InputNotFoundError, InputTooLargeError, InternalError
from tests.contract.s3_storages import s3_storage
from tests.servers import Server


@pytest.fixture(params=["memory", "local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "memory":
        yield MemoryStorage()
        return
    if request.param == "local":
        local = LocalStorage(tmp_path / "pictures")
        local.prepare()
        yield local
        return
    server: Server = request.getfixturevalue("s3")
    s3: S3Storage = s3_storage(server.url)
    s3.prepare()
    yield s3
    s3.close()


@pytest.fixture
def key() -> str:
    return f"uploads/{uuid.uuid4()}/original.jpg"


@pytest.mark.parametrize("size_bytes", [0, 1, 27_272, 5 * 1024 * 1024 + 1])
def test_what_was_put_is_what_is_got(storage: Storage, key: str, size_bytes: int) -> None:
    body = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)

    storage.put(key, body, content_type="image/jpeg")

    assert storage.get(key, max_bytes=size_bytes) == body


PART = bytes(range(256)) * (MIN_PART_BYTES // 256)


@pytest.mark.parametrize("parts", [[PART, PART, b"the rest"], [PART], [PART, b""], [b"small"]])
def test_what_was_streamed_is_what_is_got(storage: Storage, key: str, parts: list[bytes]) -> None:
    streamed = storage.begin_put(key, content_type="image/png")
    for part in parts:
        assert storage.info(key) is None, "nobody sees it before it is whole"
        if part:
            streamed.write([part[:1000], part[1000:]])
    streamed.commit()
    streamed.abort()

    body = b"".join(parts)
    assert storage.get(key, max_bytes=len(body)) == body
    info = storage.info(key)
    assert info is not None
    assert (info.size_bytes, info.content_type) == (len(body), "image/png")


def test_what_was_streamed_and_aborted_never_was(storage: Storage, key: str) -> None:
    storage.put(key, b"before", content_type="image/jpeg")
    streamed = storage.begin_put(key, content_type="image/png")
    streamed.write([PART])
    streamed.abort()
    streamed.abort()

    assert storage.get(key, max_bytes=100) == b"before"


def test_streaming_replaces(storage: Storage, key: str) -> None:
    storage.put(key, b"before", content_type="image/jpeg")
    streamed = storage.begin_put(key, content_type="image/png")
    streamed.write([b"after"])
    assert storage.get(key, max_bytes=100) == b"before"
    streamed.commit()
    assert storage.get(key, max_bytes=100) == b"after"


def test_a_streamed_key_is_checked(storage: Storage) -> None:
    with pytest.raises(InternalError):
        storage.begin_put("../outside", content_type="image/png")


def test_putting_again_replaces(storage: Storage, key: str) -> None:
    storage.put(key, b"first, and longer", content_type="image/jpeg")
    storage.put(key, b"second", content_type="image/png")

    assert storage.get(key, max_bytes=100) == b"second"
    info = storage.info(key)
    assert info is not None
    assert (info.key, info.size_bytes, info.content_type) == (key, 6, "image/png")


def test_what_was_never_put_is_not_found(storage: Storage, key: str) -> None:
    with pytest.raises(InputNotFoundError, match=key):
        storage.get(key, max_bytes=100)
    assert storage.info(key) is None


def test_more_than_the_limit_is_refused_with_both_numbers(storage: Storage, key: str) -> None:
    storage.put(key, b"x" * 101, content_type="image/jpeg")

    with pytest.raises(InputTooLargeError, match=r"101 bytes.* 100"):
        storage.get(key, max_bytes=100)

    assert len(storage.get(key, max_bytes=101)) == 101


def test_what_was_deleted_is_gone_and_deleting_again_is_no_error(storage: Storage, key: str) -> None:
    storage.put(key, b"x", content_type="image/jpeg")

    storage.delete(key)
    storage.delete(key)

    assert storage.info(key) is None
    with pytest.raises(InputNotFoundError):
        storage.get(key, max_bytes=100)


def test_deleting_one_leaves_its_neighbours(storage: Storage) -> None:
    folder = f"uploads/{uuid.uuid4()}"
    for name in ("a", "ab"):
        storage.put(f"{folder}/{name}", b"x", content_type="image/jpeg")

    storage.delete(f"{folder}/a")

    assert storage.info(f"{folder}/ab") is not None


@pytest.mark.parametrize(
    "bad_key", ["", "/etc/passwd", "../secret", "a/../../b", "a//b", "a/./b", "a/.hidden", "a" * 513]
)
def test_a_key_that_could_climb_is_refused(storage: Storage, bad_key: str) -> None:
    for call in (
        lambda: storage.put(bad_key, b"x", content_type="image/jpeg"),
        lambda: storage.get(bad_key, max_bytes=1),
        lambda: storage.info(bad_key),
        lambda: storage.delete(bad_key),
        lambda: storage.sign_upload(bad_key, content_type="image/jpeg", lifetime_s=60),
    ):
        with pytest.raises(InternalError, match="not a storage key"):
            call()


def test_preparing_twice_is_no_error_and_then_the_check_passes(storage: Storage) -> None:
    storage.prepare()
    storage.prepare()
    storage.check()


@pytest.mark.parametrize("lifetime_s", [0, -1, 901])
def test_a_signed_request_lives_fifteen_minutes_at_most(storage: Storage, key: str, lifetime_s: int) -> None:
    with pytest.raises(InternalError, match=f"900 s, not {lifetime_s}"):
        storage.sign_upload(key, content_type="image/jpeg", lifetime_s=lifetime_s)
    with pytest.raises(InternalError, match=f"900 s, not {lifetime_s}"):
        storage.sign_download(key, content_type="image/jpeg", filename="a.jpg", lifetime_s=lifetime_s)


def test_a_signed_request_says_its_method_and_its_end(storage: Storage, key: str) -> None:
    earliest = datetime.fromtimestamp(int(time.time()), tz=UTC)
    download = storage.sign_download(key, content_type="image/jpeg", filename="a.jpg", lifetime_s=60)
    upload = storage.sign_upload(key, content_type="image/jpeg", lifetime_s=900)
    latest = datetime.now(UTC)

    assert (download.method, upload.method) == ("GET", "PUT")
    assert earliest + timedelta(seconds=60) <= download.expires_at <= latest + timedelta(seconds=60)
    assert earliest + timedelta(seconds=900) <= upload.expires_at <= latest + timedelta(seconds=900)
    assert upload.headers == {"Content-Type": "image/jpeg", "If-None-Match": "*"}
    sized = storage.sign_upload(key, content_type="image/jpeg", lifetime_s=900, size_bytes=7)
    assert sized.headers == {"Content-Type": "image/jpeg", "If-None-Match": "*", "Content-Length": "7"}
    assert key in download.url


# --- erasing


def test_what_is_erased_is_gone_and_nothing_else(storage: Storage) -> None:
    job, other = uuid.uuid4(), uuid.uuid4()
    keys = [f"processed/{job}.jpg", f"processed/{job}/thumb.webp", f"processed/{job}/hero.avif"]
    kept = [f"processed/{other}.jpg", f"processed/{other}/thumb.webp", f"uploads/{job}/original.jpg"]
    for key in (*keys, *kept):
        storage.put(key, b"a picture", content_type="image/jpeg")

    assert storage.erase_all(f"processed/{job}") == len(keys)

    assert [key for key in (*keys, *kept) if storage.info(key) is not None] == kept
    assert storage.erase_all(f"processed/{job}") == 0


def test_erasing_a_key_leaves_those_that_begin_with_it(storage: Storage) -> None:
    key = f"uploads/{uuid.uuid4()}/original"
    for each in (key, f"{key}.jpg"):
        storage.put(each, b"a picture", content_type="image/jpeg")

    assert storage.erase(key) == 1

    assert storage.info(key) is None
    assert storage.info(f"{key}.jpg") is not None
    assert storage.erase(key) == 0


@pytest.mark.parametrize("prefix", ["", "/"])
def test_not_everything_is_erased_by_mistake(storage: Storage, prefix: str) -> None:
    with pytest.raises(InternalError):
        storage.erase_all(prefix)


def test_metadata_is_stored_with_the_object(storage: Storage, key: str) -> None:
    metadata = {"darkroom-result": '{"width":8,"text":"a: b"}', "other": "x"}
    storage.put(key, b"x", content_type="image/png", metadata=metadata)
    info = storage.info(key)
    assert info is not None
    assert (info.content_type, {name: info.metadata[name] for name in metadata}) == ("image/png", metadata)

    storage.put(key, b"y", content_type="image/png")
    info = storage.info(key)
    assert info is not None
    assert not metadata.keys() & info.metadata.keys()


def test_objects_are_listed_in_the_order_of_their_keys(storage: Storage) -> None:
    folder = f"listed-{uuid.uuid4()}/"
    names = ["a1/job.json", "a1/original.jpg", "a2.jpg", "b1-c/d/e", "b2/f", "c1"]
    for name in [*names, "z"]:
        storage.put(f"{folder}{name}", b"xyz", content_type="image/png")
    storage.put(f"{folder[:-1]}x/other", b"x", content_type="image/png")
    storage.delete(f"{folder}z")

    listed = [one for page in storage.pages(folder) for one in page]

    assert [one.key for one in listed] == [f"{folder}{name}" for name in names]
    assert {one.size_bytes for one in listed} == {3}
    assert all(abs(datetime.now(UTC) - one.stored_at) < timedelta(hours=1) for one in listed)
    after = f"{folder}b1-c/d/e"
    assert [one.key for page in storage.pages(folder, after=after) for one in page] == [
        one.key for one in listed if one.key > after
    ]
    assert list(storage.pages(f"listed-{uuid.uuid4()}/")) == []


def test_a_long_list_comes_in_pages(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory", "local_listing", "s3"):
        monkeypatch.setattr(f"darkroom.adapters.storage.{module}.LISTED_AT_ONCE", 3)
    folder = f"listed-{uuid.uuid4()}/"
    keys = [f"{folder}{number:02}/{name}" for number in range(5) for name in ("job.json", "original.jpg")]
    for key in keys:
        storage.put(key, b"x", content_type="image/png")
    pages = [[one.key for one in page] for page in storage.pages(folder)]
    assert [key for page in pages for key in page] == keys
    assert [len(page) for page in pages] == [3, 3, 3, 1]
