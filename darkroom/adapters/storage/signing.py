"""URLs that anyone may use until they expire, for one key and one method, with the signature in their query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from darkroom.adapters.storage import sigv4
from darkroom.adapters.storage.credentials import FindCredentials


@dataclass(frozen=True, kw_only=True)
class SignedUrl:
    url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs for one host, which must be the one that clients use: it is part of the signature."""

    endpoint: str
    find_credentials: FindCredentials = field(repr=False)
    region: str
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def sign(
        self, method: str, path: str, *, parameters: Mapping[str, str], headers: Mapping[str, str], lifetime_s: int
    ) -> SignedUrl:
        """The URL of `path` (from the root, not encoded) for this method; `headers` must be sent as they are."""
        # In whole seconds, as the URL says it itself.
        now = self.clock().replace(microsecond=0)
        encoded = sigv4.encoded_path(path)
        query = sigv4.signed_query(
            self.find_credentials(),
            method=method,
            host=sigv4.host_of(self.endpoint),
            path=encoded,
            parameters=parameters,
            headers={name.lower(): value for name, value in headers.items()},
            lifetime_s=lifetime_s,
            region=self.region,
            now=now,
        )
        url = f"{self.endpoint.rstrip('/')}{encoded}?{query}"
        return SignedUrl(url=url, expires_at=now + timedelta(seconds=lifetime_s))
