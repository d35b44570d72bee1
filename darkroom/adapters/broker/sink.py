"""POSTs to one sink over kept HTTP/1.1 connections, for callers that wait: what an emission needs, and nothing besides.

Every accepted job waits for its emission, of which only the answer's status counts: no redirects, no cookies, no
proxies, no decoding. A general client takes four times as long for it. httptools reads the answers, as it reads
uvicorn's requests.
"""

from __future__ import annotations

import select
import socket
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

_KEPT_IDLE = 16
_READ_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024
"""Of an answer that is read to its end, so that its connection can be kept; it says nothing that anybody needs."""


class UnreadableAnswerError(Exception):
    """What came back is no HTTP/1.1."""


class Sink:
    """Safe to share between threads. Nothing is imported or connected before the first POST."""

    def __init__(self, url: str) -> None:
        """`http` or `https`; the authorities that are trusted are OpenSSL's own, which SSL_CERT_FILE replaces."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._head = f"POST {target} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n"
        self._idle: deque[socket.socket] = deque()
        self._tls: SSLContext | None = None
        weakref.finalize(self, _close_all, self._idle)

    def post(self, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> int:
        """The status of the final answer. Raises OSError, a TimeoutError when the time is up, or UnreadableAnswerError.

        What was raised does not tell whether the sink has the event.
        """
        request = self._request(headers, body)
        ends_at = time.monotonic() + timeout_s
        connection = self._kept() or self._connect(timeout_s)
        try:
            connection.settimeout(_left_s(ends_at))
            connection.sendall(request)
            answer = _Answer()
            while not answer.is_complete:
                connection.settimeout(_left_s(ends_at))
                answer.take(connection.recv(_READ_BYTES))
        except BaseException:
            connection.close()
            raise
        if answer.may_be_followed and len(self._idle) < _KEPT_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return answer.status

    def close(self) -> None:
        _close_all(self._idle)

    def _request(self, headers: Mapping[str, str], body: bytes) -> bytes:
        fields = [f"{name}: {value}" for name, value in headers.items()]
        for field in fields:
            if "\r" in field or "\n" in field:
                raise ValueError(f"a header field must be one line, was {field[:200]!r}")
        fields.append(f"content-length: {len(body)}\r\n\r\n")
        return (self._head + "\r\n".join(fields)).encode("latin-1") + body

    def _kept(self) -> socket.socket | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _has_something_to_read(connection):
                return connection
            connection.close()

    def _connect(self, timeout_s: float) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout=timeout_s)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_secure:
                return self._context().wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _context(self) -> SSLContext:
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context()
        return self._tls


class _Answer:
    """As far as it has come. The methods `on_...` are httptools' callbacks."""

    def __init__(self) -> None:
        from httptools import HttpParserError, HttpResponseParser

        self._parser = HttpResponseParser(self)
        self._fault = HttpParserError
        self._read_bytes = 0
        self.status = 0
        self.is_complete = False
        self.may_be_followed = False
        """The connection can be kept for another request."""

    def take(self, data: bytes) -> None:
        """What was received; nothing is the connection's end. Raises ConnectionError and UnreadableAnswerError."""
        if not data:
            if not self._has_final_status:
                raise ConnectionResetError("the sink closed the connection before it answered")
            self.is_complete = True
            return
        try:
            self._parser.feed_data(data)
        except self._fault as exc:
            raise UnreadableAnswerError(str(exc)) from exc
        self._read_bytes += len(data)
        if self._has_final_status and self._read_bytes > _MAX_BODY_BYTES:
            self.is_complete = True

    @property
    def _has_final_status(self) -> bool:
        """1xx announces another answer (RFC 9110, section 15.2)."""
        return self.status >= 200

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        if self._has_final_status:
            self.is_complete = True
            self.may_be_followed = self._parser.should_keep_alive()


def _close_all(connections: deque[socket.socket]) -> None:
    while connections:
        connections.pop().close()


def _has_something_to_read(connection: socket.socket) -> bool:
    """On an idle connection that is its end, as a rule; whatever it is, no answer to what will be sent next."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _left_s(ends_at: float) -> float:
    """Raises TimeoutError; zero would be no timeout but a socket that does not wait."""
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for the answer is up")
    return left_s
