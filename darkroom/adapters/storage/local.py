"""Pictures as files in one folder, for one machine without an S3 server.

A file gets its name only when all of it is on disk. Content types are stored beside the pictures, in a folder that no
key can name. Signed requests lead to the functions themselves, which verify the signature
(`functions/status/files.py`, `functions/ingest/files.py`).
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from darkroom.adapters.storage import ListedObject, ObjectInfo, SignedRequest, StreamedPut, upload_headers
from darkroom.adapters.storage.file_urls import FileGrant, FileSigner
from darkroom.adapters.storage.local_listing import list_pages
from darkroom.adapters.storage.retention import StorageRetention
from darkroom.adapters.storage.rules import check_key, check_lifetime, check_prefix, not_found, too_large
from darkroom.contract.errors import DependencyUnavailableError, InputExistsError

_CONTENT_TYPES = ".content-types"
_INCOMING = ".incoming"
_SIGNING_KEY = ".signing-key"
_SIGNING_KEY_BYTES = 32
_UNKNOWN_TYPE = "application/octet-stream"


class LocalStorage:
    def __init__(
        self,
        root: str | Path,
        *,
        public_endpoint: str | None = None,
        secret_key: str = "",
        clock: Callable[[], float] = time.time,
        retention: StorageRetention | None = None,
    ) -> None:
        """Use this folder. `clock` returns seconds since the epoch. `prepare` deletes what is older than `retention`.

        Signed URLs begin with `public_endpoint`; without one they are paths on the API's host. They are signed with
        `secret_key`; without one with a key that is made for this folder and kept in it, so that all functions that
        share the folder share it.
        """
        self._root = Path(root)
        self._public_endpoint = (public_endpoint or "").rstrip("/")
        self._secret_key = secret_key
        self._clock = clock
        self._retention = retention or StorageRetention(originals_s=None)

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        check_key(key)
        described = "\n".join([content_type, *(f"{name}: {value}" for name, value in (metadata or {}).items())])
        with _translated("put"):
            self._write(self._root / _CONTENT_TYPES / key, described.encode())
            self._write(self._root / key, body)

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        check_key(key)
        with _translated("begin_put"):
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
        with _translated("get"), _missing_is_none():
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
        with _translated("info"), _missing_is_none():
            size_bytes = (self._root / key).stat().st_size
            content_type, metadata = self._description(key)
            return ObjectInfo(key=key, size_bytes=size_bytes, content_type=content_type, metadata=metadata)
        return None

    def pages(self, prefix: str, *, after: str = "") -> Iterator[Sequence[ListedObject]]:
        with _translated("listing"):
            yield from list_pages(self._root, prefix, after)

    def delete(self, key: str) -> None:
        check_key(key)
        with _translated("delete"):
            (self._root / key).unlink(missing_ok=True)
            (self._root / _CONTENT_TYPES / key).unlink(missing_ok=True)

    def erase(self, key: str) -> int:
        check_key(key)
        is_there = (self._root / key).is_file()
        self.delete(key)
        return int(is_there)

    def erase_all(self, prefix: str) -> int:
        check_prefix(prefix)
        folder, _, beginning = prefix.rpartition("/")
        with _translated("erase_all"):
            top = list((self._root / folder).glob(f"{beginning}*"))
            paths = [path for each in top for path in (each, *each.rglob("*")) if path.is_file()]
        return sum(self.erase(path.relative_to(self._root).as_posix()) for path in paths)

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        return self._sign("GET", key, {}, lifetime_s, content_type=content_type, filename=filename)

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        headers = upload_headers(content_type, size_bytes)
        return self._sign("PUT", key, headers, lifetime_s, content_type=content_type, size_bytes=size_bytes)

    # --- signed requests that the functions serve --------------------------------------------------------------------

    def verified(self, method: str, key: str, query: Sequence[tuple[str, str]]) -> FileGrant:
        """Return what the signed URL of a request allows. Raises SignatureInvalidError."""
        return self._signer.verified(method, key, query, now_s=self._clock())

    def file(self, key: str) -> Path:
        """Return the path of the file. Raises InputNotFoundError."""
        check_key(key)
        path = self._root / key
        if not path.is_file():
            raise not_found(key)
        return path

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Yield a path for a body that is still arriving. What is there at the end of the block is removed."""
        path = self._root / _INCOMING / uuid.uuid4().hex
        with _translated("put"):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def create(self, key: str, incoming: Path, *, content_type: str) -> None:
        """Give the key to a complete file. Raises InputExistsError if the key has a file, which is not replaced."""
        check_key(key)
        path = self._root / key
        with _translated("put"):
            if path.exists():
                raise _exists(key)
            self._write(self._root / _CONTENT_TYPES / key, content_type.encode())
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync(incoming, os.O_RDONLY)
            try:
                # A link, unlike a rename, fails where the name is taken: of two uploads at once, one is first.
                path.hardlink_to(incoming)
            except FileExistsError as exc:
                raise _exists(key) from exc
            _sync_folder(path.parent)

    def check(self) -> None:
        if not self._root.is_dir() or not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise DependencyUnavailableError("storage", f"{self._root} is no folder that can be written to")

    def prepare(self) -> None:
        with _translated("prepare"):
            self._root.mkdir(parents=True, exist_ok=True)
            for prefix, kept_s in self._retention.by_prefix():
                self._expire(prefix, stored_before_s=self._clock() - kept_s)

    def _expire(self, prefix: str, *, stored_before_s: float) -> None:
        """Delete the objects that are older. A server does so by a rule; a folder has nobody else to do it."""
        for path in (self._root / prefix).rglob("*"):
            with _missing_is_none():
                if path.is_file() and path.stat().st_mtime < stored_before_s:
                    self.delete(path.relative_to(self._root).as_posix())

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

    def _description(self, key: str) -> tuple[str, dict[str, str]]:
        """Return the content type, and the metadata in the lines after it."""
        try:
            content_type, *lines = (self._root / _CONTENT_TYPES / key).read_text().splitlines()
        except (FileNotFoundError, ValueError):
            # A person put the picture there.
            return _UNKNOWN_TYPE, {}
        pairs = (line.partition(": ") for line in lines)
        return content_type, {name: value for name, _, value in pairs}

    def _sign(
        self,
        method: str,
        key: str,
        headers: dict[str, str],
        lifetime_s: int,
        *,
        content_type: str,
        filename: str = "",
        size_bytes: int | None = None,
    ) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        expires_at = datetime.fromtimestamp(int(self._clock()), tz=UTC) + timedelta(seconds=lifetime_s)
        grant = FileGrant(
            method=method,
            key=key,
            expires=int(expires_at.timestamp()),
            content_type=content_type,
            filename=filename,
            size_bytes=size_bytes,
        )
        url = f"{self._public_endpoint}{self._signer.path(grant)}"
        return SignedRequest(method=method, url=url, headers=headers, expires_at=expires_at)

    @cached_property
    def _signer(self) -> FileSigner:
        return FileSigner(secret=self._secret_key.encode() or self._folders_key())

    def _folders_key(self) -> bytes:
        """Return the folder's own signing key, made by whoever is first."""
        path = self._root / _SIGNING_KEY
        with _translated("reading the signing key"), suppress(FileExistsError), self.incoming() as incoming:
            if not path.exists():
                descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(_SIGNING_KEY_BYTES))
                _sync(incoming, os.O_RDONLY)
                path.hardlink_to(incoming)
        with _translated("reading the signing key"):
            key = path.read_bytes()
        if len(key) < 2 * _SIGNING_KEY_BYTES:
            raise DependencyUnavailableError("storage", f"{path} is damaged; remove it, and a new key is made")
        return key


def _exists(key: str) -> InputExistsError:
    return InputExistsError(f"there is a picture under {key} already; request another signed upload")


class LocalStreamedPut:
    """A `StreamedPut` into a file without a name that readers know."""

    def __init__(self, storage: LocalStorage, key: str, incoming: Path, *, content_type: str) -> None:
        self._storage = storage
        self._key = key
        self._incoming = incoming
        self._content_type = content_type

    def write(self, part: Sequence[bytes]) -> None:
        with _translated("write"), self._incoming.open("ab") as file:
            file.writelines(part)

    def commit(self) -> None:
        with _translated("commit"):
            with self._incoming.open("rb") as file:
                os.fsync(file.fileno())
            self._storage.adopt(self._key, self._incoming, content_type=self._content_type)

    def abort(self) -> None:
        with _translated("abort"):
            self._incoming.unlink(missing_ok=True)


@contextmanager
def _translated(operation: str) -> Iterator[None]:
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
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
