"""Adds a span to each S3 call, by OpenTelemetry's conventions for S3; the adapter's own retry is part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from darkroom import telemetry
from darkroom.adapters.storage import ListedObject, ObjectInfo, SignedRequest, Storage, StreamedPut
from darkroom.telemetry import names


class TracedStorage:
    """An S3 storage whose calls have spans. Signing has none: it is arithmetic."""

    def __init__(self, storage: Storage, *, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        with self._call("PutObject", key):
            self._storage.put(key, body, content_type=content_type, metadata=metadata)

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        with self._call("CreateMultipartUpload", key):
            streamed = self._storage.begin_put(key, content_type=content_type)
        return _TracedStreamedPut(streamed, lambda operation: self._call(operation, key))

    def get(self, key: str, *, max_bytes: int) -> bytes:
        with self._call("GetObject", key):
            return self._storage.get(key, max_bytes=max_bytes)

    def info(self, key: str) -> ObjectInfo | None:
        with self._call("HeadObject", key):
            return self._storage.info(key)

    def pages(self, prefix: str, *, after: str = "") -> Iterator[Sequence[ListedObject]]:
        with self._call("ListObjectsV2"):
            yield from self._storage.pages(prefix, after=after)

    def delete(self, key: str) -> None:
        with self._call("DeleteObject", key):
            self._storage.delete(key)

    def erase(self, key: str) -> int:
        with self._call("ListObjectVersions", key):
            return self._storage.erase(key)

    def erase_all(self, prefix: str) -> int:
        with self._call("ListObjectVersions", prefix):
            return self._storage.erase_all(prefix)

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        return self._storage.sign_download(key, content_type=content_type, filename=filename, lifetime_s=lifetime_s)

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        return self._storage.sign_upload(key, content_type=content_type, lifetime_s=lifetime_s, size_bytes=size_bytes)

    def check(self) -> None:
        with self._call("ListObjectsV2"):
            self._storage.check()

    def prepare(self) -> None:
        self._storage.prepare()

    def _call(self, operation: str, key: str | None = None) -> AbstractContextManager[telemetry.Span]:
        attributes = {
            names.RPC_SYSTEM: "aws-api",
            names.RPC_SERVICE: "S3",
            names.RPC_METHOD: operation,
            names.S3_BUCKET: self._bucket,
        }
        if key is not None:
            attributes[names.S3_KEY] = key
        return telemetry.span(f"S3.{operation}", attributes, kind="client")


class _TracedStreamedPut:
    def __init__(self, streamed: StreamedPut, call: Callable[[str], AbstractContextManager[telemetry.Span]]) -> None:
        self._streamed = streamed
        self._call = call

    def write(self, part: Sequence[bytes]) -> None:
        with self._call("UploadPart"):
            self._streamed.write(part)

    def commit(self) -> None:
        with self._call("CompleteMultipartUpload"):
            self._streamed.commit()

    def abort(self) -> None:
        with self._call("AbortMultipartUpload"):
            self._streamed.abort()
