"""Pictures in memory, for tests. Passes the same contract suite as S3; its signed requests lead nowhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from darkroom.adapters.storage import (
    LISTED_AT_ONCE,
    MIN_PART_BYTES,
    ListedObject,
    ObjectInfo,
    SignedRequest,
    StreamedPut,
    upload_headers,
)
from darkroom.adapters.storage.rules import check_key, check_lifetime, check_prefix, not_found, too_large
from darkroom.contract.errors import DependencyUnavailableError, InternalError


@dataclass(frozen=True)
class _Object:
    body: bytes
    content_type: str
    metadata: Mapping[str, str]
    stored_at: datetime


class MemoryStorage:
    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Start empty. `clock` returns seconds since the epoch."""
        self.is_down = False
        """While True, every call fails as if the storage did not answer."""
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self.unfinished: list[_MemoryStreamedPut] = []
        """Streamed objects that were neither committed nor aborted."""

    @property
    def keys(self) -> set[str]:
        with self._lock:
            return set(self._objects)

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        check_key(key)
        self.check()
        stored_at = datetime.fromtimestamp(self._clock(), tz=UTC)
        with self._lock:
            self._objects[key] = _Object(bytes(body), content_type, dict(metadata or {}), stored_at)

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        check_key(key)
        self.check()
        streamed = _MemoryStreamedPut(self, key, content_type)
        self.unfinished.append(streamed)
        return streamed

    def get(self, key: str, *, max_bytes: int) -> bytes:
        check_key(key)
        self.check()
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise not_found(key)
        if len(found.body) > max_bytes:
            raise too_large(len(found.body), max_bytes)
        return found.body

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        self.check()
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            return None
        return ObjectInfo(key=key, size_bytes=len(found.body), content_type=found.content_type, metadata=found.metadata)

    def pages(self, prefix: str, *, after: str = "") -> Iterator[Sequence[ListedObject]]:
        self.check()
        with self._lock:
            found = [
                ListedObject(key=key, size_bytes=len(one.body), stored_at=one.stored_at)
                for key, one in sorted(self._objects.items())
                if key.startswith(prefix) and key > after
            ]
        for start in range(0, len(found), LISTED_AT_ONCE):
            yield found[start : start + LISTED_AT_ONCE]

    def delete(self, key: str) -> None:
        check_key(key)
        self.check()
        with self._lock:
            self._objects.pop(key, None)

    def erase(self, key: str) -> int:
        check_key(key)
        return self._erase(lambda found: found == key)

    def erase_all(self, prefix: str) -> int:
        check_prefix(prefix)
        return self._erase(lambda found: found.startswith(prefix))

    def _erase(self, is_meant: Callable[[str], bool]) -> int:
        self.check()
        with self._lock:
            keys = [key for key in self._objects if is_meant(key)]
            for key in keys:
                del self._objects[key]
        uploads = [upload for upload in self.unfinished if is_meant(upload.key)]
        for upload in uploads:
            upload.abort()
        return len(keys) + len(uploads)

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        return self._sign("GET", key, {}, lifetime_s)

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        return self._sign("PUT", key, upload_headers(content_type, size_bytes), lifetime_s)

    def check(self) -> None:
        if self.is_down:
            raise DependencyUnavailableError("storage", "it was taken down by the test")

    def prepare(self) -> None:
        self.check()

    def _sign(self, method: str, key: str, headers: dict[str, str], lifetime_s: int) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        expires_at = datetime.fromtimestamp(int(self._clock()), tz=UTC) + timedelta(seconds=lifetime_s)
        url = f"http://storage.invalid/{key}?expires={int(expires_at.timestamp())}"
        return SignedRequest(method=method, url=url, headers=headers, expires_at=expires_at)


class _MemoryStreamedPut:
    def __init__(self, storage: MemoryStorage, key: str, content_type: str) -> None:
        self._storage = storage
        self.key = key
        self._content_type = content_type
        self._parts: list[bytes] = []

    def write(self, part: Sequence[bytes]) -> None:
        self._storage.check()
        if self._parts and len(self._parts[-1]) < MIN_PART_BYTES:
            raise InternalError(f"only the last part may have less than {MIN_PART_BYTES} bytes")
        self._parts.append(b"".join(part))

    def commit(self) -> None:
        self._storage.put(self.key, b"".join(self._parts), content_type=self._content_type)
        self._end()

    def abort(self) -> None:
        self._storage.check()
        self._end()

    def _end(self) -> None:
        self._parts = []
        if self in self._storage.unfinished:
            self._storage.unfinished.remove(self)
