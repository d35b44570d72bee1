"""Requests that are not HTTP, each with a key in it that must appear in no answer and no log."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

KEY = "drk_abcdefgh1234_" + "S3CRET" * 5
_AUTHORIZED = f"Authorization: Bearer {KEY}\r\n".encode()


def _head(
    *lines: bytes, start: bytes = b"GET /api/v1/jobs HTTP/1.1", host: bytes = b"Host: x\r\nConnection: close\r\n"
) -> bytes:
    return start + b"\r\n" + host + _AUTHORIZED + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


_CHUNKED = b"Transfer-Encoding: chunked"
_POST = b"POST /api/v1/resize HTTP/1.1"

NO_HTTP = {
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer %b\r\n\r\n" % KEY.encode(),
    "no colon": b"GET / HTTP/1.1\r\nHost: x\r\nBearer %b\r\n\r\n" % KEY.encode(),
    "an obsolete fold": _head(b"X-Long: a\r\n  %b" % KEY.encode()),
    "NUL in a value": _head(b"X-Nul: a\0%b" % KEY.encode()),
    "NUL in a name": _head(b"X-\0%b: a" % KEY.encode()),
    "a bare CR": _head(b"X-Cr: a\r%b" % KEY.encode()),
    "a bad method": _head(start=b"G{}T /%b HTTP/1.1" % KEY.encode()),
    "a bad version": _head(start=b"GET /%b HTTP/9.x" % KEY.encode()),
    "no version": b"GET /%b\r\n\r\n" % KEY.encode(),
    "a bad Content-Length": _head(b"Content-Length: %b" % KEY.encode(), start=_POST),
    "a negative Content-Length": _head(b"Content-Length: -1", start=_POST),
    "two Content-Lengths": _head(b"Content-Length: 3", b"Content-Length: 4", start=_POST) + KEY.encode(),
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + KEY.encode(),
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + KEY.encode() + b"\0" * 32,
    "a head without an end": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + (KEY * 10_000).encode(),
    "a thousand headers": _head(*(b"X-%d: %b" % (number, KEY.encode()) for number in range(5_000))),
    "an endless request line": b"GET /" + (KEY * 10_000).encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}
TWICE = {
    "two Hosts": _head(b"Host: y"),
    "two keys": _head(b"Authorization: Bearer %b" % KEY.encode()),
    "two media types": _head(b"Content-Type: image/jpeg", b"content-type: text/%b" % KEY.encode(), start=_POST),
    "two ce-ids": _head(b"ce-id: 1", b"Ce-Id: %b" % KEY.encode(), start=_POST),
    "two idempotency keys": _head(b"Idempotency-Key: 1", b"Idempotency-Key: %b" % KEY.encode(), start=_POST),
    "two traces": _head(b"traceparent: 00-1", b"traceparent: 00-%b" % KEY.encode(), start=_POST),
}
BAD_CHUNKS = {
    "no size": _head(_CHUNKED, start=_POST) + b"%b\r\nabc\r\n0\r\n\r\n" % KEY.encode(),
    "a negative size": _head(_CHUNKED, start=_POST) + b"-1\r\n%b\r\n0\r\n\r\n" % KEY.encode(),
    "a huge size": _head(_CHUNKED, start=_POST) + b"f" * 40 + b"\r\n%b\r\n0\r\n\r\n" % KEY.encode(),
    "no end of a chunk": _head(_CHUNKED, start=_POST) + b"3\r\nabc%b\r\n0\r\n\r\n" % KEY.encode(),
}
"""Broken in their bodies: their heads are whole."""


def exchange(port: int, request: bytes, *, timeout_s: float = 20) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer; (0, b"", b"") when there is none."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        with suppress(OSError):  # it may be answered before all was sent
            connection.sendall(request)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass  # closed with our bytes unread
    if not received:
        return 0, b"", b""
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def refused(answer: tuple[int, bytes, bytes]) -> dict[str, Any]:
    """Assert that the answer is a problem document of status 400 that repeats nothing of the request."""
    status, head, body = answer
    assert status == 400, (status, head, body)
    assert b"application/problem+json" in head.lower(), head
    assert b"drk_" not in head + body
    assert b"S3CRET" not in head + body
    assert b"Traceback" not in body
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == 400
    return document
