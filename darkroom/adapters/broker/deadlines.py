"""Connections for urllib3 whose timeout is a deadline, and which reject a truncated response head.

urllib3 applies its timeout to each read, so a sink that sends a byte now and then could hold its caller forever.
http.client takes the connection's end for the end of the head, so a head cut off after its status would count.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse


def connection_pool(host: str, port: int | None, *, is_secure: bool, kept_idle: int) -> HTTPConnectionPool:
    """Make a pool that keeps `kept_idle` connections, and opens more while they are needed."""
    if is_secure:
        return _SecurePool(host, port, maxsize=kept_idle, ssl_context=_tls())
    return _Pool(host, port, maxsize=kept_idle)


class DeadlineSocket(socket.socket):
    """A socket whose timeout covers everything read until the next timeout is set, not each read."""

    _ends_at: float | None = None
    has_ended = False
    """Whether the other side has closed and everything it sent was read."""

    def settimeout(self, value: float | None) -> None:
        self._ends_at = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv_into(self, *arguments: Any) -> int:
        if self._ends_at is not None:
            left_s = self._ends_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the time for the answer is up")
            super().settimeout(left_s)
        count = super().recv_into(*arguments)
        self.has_ended = count == 0
        return count


class _DeadlineTlsSocket(DeadlineSocket, ssl.SSLSocket):
    """The same over TLS."""


class _Connection(HTTPConnection):
    """Overrides the same methods as urllib3's own SOCKS support.

    Sends a request's head together with its body: one system call and one packet less for each event.
    """

    _is_head = False
    _unsent_head = b""

    def endheaders(self, *arguments: Any, **options: Any) -> None:
        self._is_head = True
        try:
            super().endheaders(*arguments, **options)
        finally:
            self._is_head = False

    def send(self, data: Any) -> None:
        if self._is_head:
            self._unsent_head = bytes(data)
            return
        head, self._unsent_head = self._unsent_head, b""
        super().send(head + data)

    def _new_conn(self) -> socket.socket:
        began = time.monotonic()
        plain = super()._new_conn()
        connection = DeadlineSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        granted_s = self.timeout
        if isinstance(granted_s, int | float):
            # What follows, perhaps a TLS handshake, gets the time that is left. A timeout of zero would make the socket
            # non-blocking.
            connection.settimeout(max(0.001, granted_s - (time.monotonic() - began)))
        return connection

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # urllib3's response is not http.client's
        if self._unsent_head:
            self.send(b"")
        connection = self.sock
        answer = super().getresponse()
        if isinstance(connection, DeadlineSocket) and connection.has_ended:
            answer.close()
            raise ConnectionResetError("the sink closed the connection within the head of its answer")
        return answer


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = _DeadlineTlsSocket
    return context
