"""Where pictures lie. Keys are plain path segments (`darkroom.contract.jobs.STORAGE_KEY_PATTERN`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

MAX_URL_LIFETIME_S = 15 * 60


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    key: str
    size_bytes: int
    content_type: str


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """A request that anyone may send until it expires: one key, one method."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that are part of the signature and must be sent as they are."""
    expires_at: datetime


class Storage(Protocol):
    """Every method raises DependencyUnavailableError("storage", ...) when the storage does not do its part."""

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Store the whole object or nothing; the same key again replaces it."""

    def get(self, key: str, *, max_bytes: int) -> bytes:
        """Raises InputNotFoundError, and InputTooLargeError before more than `max_bytes` are read.

        A body shorter than the object's size is DependencyUnavailableError, never a result.
        """

    def info(self, key: str) -> ObjectInfo | None: ...

    def delete(self, key: str) -> None:
        """Idempotent."""

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        """A GET whose answer is forced to this content type, as an attachment of this name."""

    def sign_upload(self, key: str, *, content_type: str, lifetime_s: int) -> SignedRequest: ...

    def check(self) -> None:
        """Returns if the bucket answers."""

    def prepare(self) -> None:
        """Make the bucket and its rules if they are not there; idempotent."""
