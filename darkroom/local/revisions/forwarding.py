"""What of an HTTP message passes a proxy and what does not (RFC 9110, section 7.6.1), and what is sent on. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass

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

_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})

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


@dataclass(frozen=True, kw_only=True)
class ForwardRequest:
    method: str
    path: str
    """As it is in the request line, with the query, percent-encoding untouched."""
    headers: CIMultiDict[str]
    """End to end; Content-Length is kept and decides whether a streamed body is chunked."""
    body: bytes | AsyncIterable[bytes] | None = None

    def head(self, address: str) -> bytes:
        """The request line and the headers. Raises ValueError for a line break in one of them."""
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() != "content-length"]
        if "Host" not in self.headers:
            lines.append(f"Host: {address}")
        if isinstance(self.body, bytes):
            lines.append(f"Content-Length: {len(self.body)}")
        elif self.body is None:
            lines += ["Content-Length: 0"] if self.method in _WITH_A_BODY else []
        elif "Content-Length" in self.headers:
            lines.append(f"Content-Length: {self.headers['Content-Length']}")
        else:
            lines.append("Transfer-Encoding: chunked")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise ValueError("the request line and the headers must have no line breaks")
        return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")
