"""URLs that anyone may use until they expire: AWS Signature Version 4 in the query string, for one key and one method.

Pure, and ours rather than botocore's, whose import and client cost a cold start 200 ms of processor time; the `status`
function signs URLs and needs nothing else of S3. The tests hold it against botocore's.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs for one host, which must be the one that clients use: it is part of the signature."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str

    def sign(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        lifetime_s: int,
        now: datetime,
    ) -> str:
        """The URL of `path` (from the root, not encoded) for this method; `headers` must be sent as they are."""
        moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        signed = {"host": self._host, **{name.lower(): value.strip() for name, value in headers.items()}}
        encoded_path = quote(f"{urlsplit(self.endpoint).path.rstrip('/')}{path}", safe="/-._~")
        query = _query(
            {
                **parameters,
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{self.access_key}/{scope}",
                "X-Amz-Date": moment,
                "X-Amz-Expires": str(lifetime_s),
                "X-Amz-SignedHeaders": ";".join(sorted(signed)),
            }
        )
        request = _canonical_request(method, encoded_path, query, signed)
        signature = self._signature(moment, scope, request)
        return f"{urlsplit(self.endpoint).scheme}://{self._host}{encoded_path}?{query}&X-Amz-Signature={signature}"

    @property
    def _host(self) -> str:
        """As clients send it: without a port that is the scheme's own."""
        parts = urlsplit(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        return host.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")

    def _signature(self, moment: str, scope: str, request: str) -> str:
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        return _hmac(key, text).hex()


def _canonical_request(method: str, path: str, query: str, signed: Mapping[str, str]) -> str:
    names = sorted(signed)
    lines = [f"{name}:{signed[name]}" for name in names]
    return "\n".join([method, path, query, *lines, "", ";".join(names), "UNSIGNED-PAYLOAD"])


def _query(parameters: Mapping[str, str]) -> str:
    pairs = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
