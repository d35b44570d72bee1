"""Signs URLs that anyone may use until they expire: AWS Signature Version 4 in the query string, for one key and one
method.

botocore's signer does the work. boto3's client would produce the same URLs, but would load for as long as a cold start
takes before the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

_SIGNED_AT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class SignedUrl:
    url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs for one host, which must be the one that clients use: it is part of the signature."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str

    def sign(
        self, method: str, path: str, *, parameters: Mapping[str, str], headers: Mapping[str, str], lifetime_s: int
    ) -> SignedUrl:
        """Return the URL of `path` (from the root, not encoded) for this method. `headers` must be sent unchanged."""
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        url = f"{self.endpoint.rstrip('/')}{quote(path, safe='/-._~')}"
        request = AWSRequest(method=method, url=url, params=dict(parameters), headers=dict(headers))
        credentials = Credentials(self.access_key, self.secret_key)
        S3SigV4QueryAuth(credentials, "s3", self.region, expires=lifetime_s).add_auth(request)
        return SignedUrl(url=request.url, expires_at=_signed_at(request.url) + timedelta(seconds=lifetime_s))


def _signed_at(url: str) -> datetime:
    """Return the time of signing that the URL itself contains, in whole seconds."""
    [text] = parse_qs(urlsplit(url).query)["X-Amz-Date"]
    return datetime.strptime(text, _SIGNED_AT).replace(tzinfo=UTC)
