"""Stores pictures. Keys are plain path segments (`darkroom.contract.jobs.STORAGE_KEY_PATTERN`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

MAX_URL_LIFETIME_S = 15 * 60


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    key: str
    size_bytes: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What was stored with the object."""


@dataclass(frozen=True, kw_only=True)
class ListedObject:
    key: str
    size_bytes: int
    stored_at: datetime


LISTED_AT_ONCE = 1000
"""Objects in a page, the most that S3 returns."""


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """A request that anyone may send until it expires: one key, one method."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that are part of the signature and must be sent unchanged."""
    expires_at: datetime


MIN_PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes as a part, except for the last one."""


class StreamedPut(Protocol):
    """An object that is sent part by part. Nobody sees it before `commit` returns, and nothing is left after `abort`.

    Methods raise DependencyUnavailableError; then only `abort` may follow.
    """

    def write(self, part: Sequence[bytes]) -> None:
        """Send the next part, in pieces: at least MIN_PART_BYTES in all, or any number of bytes if it is the last."""

    def commit(self) -> None:
        """Make what was written the object. An existing object with this key is replaced."""

    def abort(self) -> None:
        """Drop what was written. Idempotent, and does nothing after `commit`."""


def upload_headers(content_type: str, size_bytes: int | None) -> dict[str, str]:
    """Return the headers of a signed upload. `If-None-Match: *` makes it a conditional PUT (RFC 9110, section 13.1.2),
    which S3, MinIO and SeaweedFS refuse with 412 where the object exists.
    """
    headers = {"Content-Type": content_type, "If-None-Match": "*"}
    return headers if size_bytes is None else {**headers, "Content-Length": str(size_bytes)}


class Storage(Protocol):
    """Every method raises DependencyUnavailableError("storage", ...) when the storage cannot do its part."""

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        """Store the whole object or nothing. An existing object with this key is replaced.

        `metadata` is stored with it: names of lower-case letters and `-`, values of ASCII.
        """

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        """Begin to store an object that is too large to be held in memory."""

    def get(self, key: str, *, max_bytes: int) -> bytes:
        """Return the object's bytes.

        Raises InputNotFoundError, and InputTooLargeError before more than `max_bytes` are read. A body shorter than the
        object's size raises DependencyUnavailableError and is never returned.
        """

    def info(self, key: str) -> ObjectInfo | None: ...

    def pages(self, prefix: str, *, after: str = "") -> Iterator[Sequence[ListedObject]]:
        """Yield the objects below a prefix that ends in `/`, from the first key after `after`, in the order of their
        keys, at most LISTED_AT_ONCE at a time.

        SeaweedFS orders each folder by its names, which is the same where no name is the beginning of another.
        """

    def delete(self, key: str) -> None:
        """Delete the object. Idempotent."""

    def erase(self, key: str) -> int:
        """Erase the object for good: every version, and what is left of unfinished uploads to this key. Idempotent.

        Returns how many of them there were.
        """

    def erase_all(self, prefix: str) -> int:
        """Do the same for all keys that begin with `prefix`."""

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        """Sign a GET whose response has this content type, as an attachment of this name."""

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        """Sign a PUT that creates the object. One that exists is never replaced: what was judged is what is rendered.

        With `size_bytes`, a body of any other length is refused too.
        """

    def check(self) -> None:
        """Return if the bucket answers."""

    def prepare(self) -> None:
        """Create the bucket and its rules if they do not exist. Idempotent."""
