"""What of an HTTP message passes a proxy and what does not (RFC 9110, section 7.6.1). Pure functions on headers."""

from __future__ import annotations

from multidict import CIMultiDict, CIMultiDictProxy

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
ANSWERED_BY_US = frozenset({"expect"})
"""Our server has said 100 Continue already."""

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


def end_to_end(headers: Headers) -> CIMultiDict[str]:
    """Without what concerns one connection only, also as named by the Connection header."""
    named = {name.strip().lower() for value in headers.getall("Connection", ()) for name in value.split(",")}
    dropped = HOP_BY_HOP | ANSWERED_BY_US | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def with_forwarded(headers: CIMultiDict[str], *, client: str | None, host: str, scheme: str) -> CIMultiDict[str]:
    """The same headers, with this hop added to X-Forwarded-For; Host and Proto stay those of the first hop."""
    if client is not None:
        earlier = headers.getall("X-Forwarded-For", [])
        headers["X-Forwarded-For"] = ", ".join([*earlier, client])
    headers.setdefault("X-Forwarded-Host", host)
    headers.setdefault("X-Forwarded-Proto", scheme)
    return headers
