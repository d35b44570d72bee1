"""Pictures as files in one folder, for one machine without an S3 server.

A file gets its name only when all of it is on disk. Content types are stored beside the pictures, in a folder that no
key can name. Signed requests are `file://` URLs with an expiry time that nothing enforces.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from darkroom.adapters.storage import ObjectInfo, SignedRequest, StreamedPut, upload_headers
from darkroom.adapters.storage.rules import check_key, check_lifetime, not_found, too_large
from darkroom.contract.errors import DependencyUnavailableError

_CONTENT_TYPES = ".content-types"
_INCOMING = ".incoming"
_UNKNOWN_TYPE = "application/octet-stream"


class LocalStorage:
    def __init__(self, root: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        """Use this folder. `clock` returns seconds since the epoch."""
        self._root = Path(root)
        self._clock = clock

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        check_key(key)
        with translated("put"):
            self._write(self._root / _CONTENT_TYPES / key, content_type.encode())
            self._write(self._root / key, body)

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        check_key(key)
        with translated("begin_put"):
            incoming = self._new_incoming()
            incoming.touch(exist_ok=False)
        return LocalStreamedPut(self, key, incoming, content_type=content_type)

    def adopt(self, key: str, incoming: Path, *, content_type: str) -> None:
        """Give a file in the incoming folder, which is on disk as a whole, its name. Raises OSError."""
        self._write(self._root / _CONTENT_TYPES / key, content_type.encode())
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming.replace(path)
        _sync_folder(path.parent)

    def get(self, key: str, *, max_bytes: int) -> bytes:
        check_key(key)
        with translated("get"), _missing_is_none():
            with (self._root / key).open("rb") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                if size_bytes > max_bytes:
                    raise too_large(size_bytes, max_bytes)
                body = file.read(max_bytes)
            if len(body) < size_bytes:
                raise DependencyUnavailableError("storage", f"read {len(body)} of {size_bytes} bytes")
            return body
        raise not_found(key)

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        with translated("info"), _missing_is_none():
            size_bytes = (self._root / key).stat().st_size
            return ObjectInfo(key=key, size_bytes=size_bytes, content_type=self._content_type(key))
        return None

    def delete(self, key: str) -> None:
        check_key(key)
        with translated("delete"):
            (self._root / key).unlink(missing_ok=True)
            (self._root / _CONTENT_TYPES / key).unlink(missing_ok=True)

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        return self._note("GET", key, {}, lifetime_s)

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        return self._note("PUT", key, upload_headers(content_type, size_bytes), lifetime_s)

    def check(self) -> None:
        if not self._root.is_dir() or not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise DependencyUnavailableError("storage", f"{self._root} is no folder that can be written to")

    def prepare(self) -> None:
        with translated("prepare"):
            self._root.mkdir(parents=True, exist_ok=True)

    def _write(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = self._new_incoming()
        try:
            with incoming.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            incoming.replace(path)
        finally:
            incoming.unlink(missing_ok=True)
        _sync_folder(path.parent)

    def _new_incoming(self) -> Path:
        """Name a new file in the folder of what is not whole yet."""
        incoming = self._root / _INCOMING / uuid.uuid4().hex
        incoming.parent.mkdir(parents=True, exist_ok=True)
        return incoming

    def _content_type(self, key: str) -> str:
        try:
            return (self._root / _CONTENT_TYPES / key).read_text()
        except FileNotFoundError:
            # A person put the picture there.
            return _UNKNOWN_TYPE

    def _note(self, method: str, key: str, headers: dict[str, str], lifetime_s: int) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        expires_at = datetime.fromtimestamp(int(self._clock()), tz=UTC) + timedelta(seconds=lifetime_s)
        url = f"{(self._root.absolute() / key).as_uri()}?expires={int(expires_at.timestamp())}"
        return SignedRequest(method=method, url=url, headers=headers, expires_at=expires_at)


class LocalStreamedPut:
    """A `StreamedPut` into a file without a name that readers know."""

    def __init__(self, storage: LocalStorage, key: str, incoming: Path, *, content_type: str) -> None:
        self._storage = storage
        self._key = key
        self._incoming = incoming
        self._content_type = content_type

    def write(self, part: Sequence[bytes]) -> None:
        with translated("write"), self._incoming.open("ab") as file:
            file.writelines(part)

    def commit(self) -> None:
        with translated("commit"):
            with self._incoming.open("rb") as file:
                os.fsync(file.fileno())
            self._storage.adopt(self._key, self._incoming, content_type=self._content_type)

    def abort(self) -> None:
        with translated("abort"):
            self._incoming.unlink(missing_ok=True)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise DependencyUnavailableError("storage", f"{operation} failed with {exc.strerror or exc}") from exc


@contextmanager
def _missing_is_none() -> Iterator[None]:
    """Continue after the block when a file does not exist."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return


def _sync_folder(folder: Path) -> None:
    """Flush the folder: a new name is on disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
