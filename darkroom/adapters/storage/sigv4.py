"""AWS Signature Version 4 for S3, as pure functions: a request's headers, or a URL that carries its signature.

Written out because the library's signer comes with the library: what it loads is a cold start's worth of time, and what
it does for each call three times what the signature takes. Follows AWS' "Signature Calculations for the Authorization
Header" and "Authenticating Requests: Using Query Parameters"; S3 encodes a path once, other services twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_SIGNED_AT = "%Y%m%dT%H%M%SZ"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    """Of credentials that expire."""


def signed_headers(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str],
    payload: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """All headers to send: those given, whose names are in lower case, and the signature over them.

    `path` and `query` as they are sent, encoded; `payload` is the body's SHA-256 in hex, or UNSIGNED_PAYLOAD.
    """
    sent = {**headers, "host": host, "x-amz-content-sha256": payload, "x-amz-date": _text(now)}
    if credentials.session_token is not None:
        sent["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(sent))
    signature = _signature(credentials, _canonical(method, path, query, sent, payload), region, now)
    credential = f"{credentials.access_key}/{_scope(region, now)}"
    sent["authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return sent


def signed_query(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    lifetime_s: int,
    region: str,
    now: datetime,
) -> str:
    """The query of a URL that is good for `lifetime_s`, for whoever sends these headers (in lower case) with it."""
    signed = {**headers, "host": host}
    authentication = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{_scope(region, now)}",
        "X-Amz-Date": _text(now),
        "X-Amz-Expires": str(lifetime_s),
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    if credentials.session_token is not None:
        authentication["X-Amz-Security-Token"] = credentials.session_token
    query = encoded_query({**parameters, **authentication})
    canonical = _canonical(method, path, query, signed, UNSIGNED_PAYLOAD)
    return f"{query}&X-Amz-Signature={_signature(credentials, canonical, region, now)}"


def encoded_path(path: str) -> str:
    return quote(path, safe="/-_.~")


def encoded_query(parameters: Mapping[str, str]) -> str:
    """Sorted, as the signature needs it."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def host_of(endpoint: str) -> str:
    """What clients put into Host: without the port where it is the scheme's own."""
    parts = urlsplit(endpoint)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    is_default = parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme)
    return name if is_default else f"{name}:{parts.port}"


def _canonical(method: str, path: str, query: str, headers: Mapping[str, str], payload: str) -> str:
    names = sorted(headers)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
    return "\n".join([method, path, query, *lines, "", ";".join(names), payload])


def _signature(credentials: Credentials, canonical: str, region: str, now: datetime) -> str:
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, _text(now), _scope(region, now), hashed])
    key = _signing_key(credentials.secret_key, _text(now)[:8], region)
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=4)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _scope(region: str, now: datetime) -> str:
    return f"{_text(now)[:8]}/{region}/s3/aws4_request"


def _text(now: datetime) -> str:
    return now.astimezone(UTC).strftime(_SIGNED_AT)
