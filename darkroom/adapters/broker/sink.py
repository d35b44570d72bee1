"""POSTs to one sink over kept connections, for callers that wait: what an emission needs of urllib3, and nothing else.

Only the response's status matters. No redirects, no cookies, no proxies (a urllib3 pool uses none, whatever the
environment says), no decoding. This is the only module that knows urllib3's errors.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool
    from urllib3.exceptions import HTTPError

_KEPT_IDLE = 64
"""More than the threads that emit at once; a full pool logs a warning for each connection it drops."""
_MAX_BODY_BYTES = 64 * 1024
"""The longest response body that is read so that its connection can be kept; nobody needs its content."""


class UnreadableAnswerError(Exception):
    """The sink's response is not HTTP/1.1, or is incomplete."""


class Sink:
    """Safe to share between threads, and between processes that fork: each process has its own connections.

    Nothing is imported or connected before the first POST.
    """

    def __init__(self, url: str) -> None:
        """Take the sink's URL, `http` or `https`. The trusted authorities are OpenSSL's own, which SSL_CERT_FILE
        replaces.
        """
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._lock = threading.Lock()
        self._pool: HTTPConnectionPool | None = None
        self._pool_pid = 0

    def post(self, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> int:
        """Return the status of the final response, which must arrive within `timeout_s`, however slowly it is sent.

        Raises OSError, a TimeoutError when the time is up, or UnreadableAnswerError. None of them says whether the sink
        has the event.
        """
        _check_lines(headers)
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        pool, began = self._connections(), time.monotonic()
        try:
            answer = pool.urlopen(
                "POST",
                self._target,
                body=body,
                headers={"user-agent": "darkroom", **headers},
                timeout=Timeout(total=timeout_s),
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as exc:
            raise _translated(exc, took_s=time.monotonic() - began, timeout_s=timeout_s) from exc
        try:
            return _final_status(answer)
        finally:
            # Closes the connection, unless the response was read to its end and the pool has the connection back.
            answer.close()

    def close(self) -> None:
        with self._lock:
            if self._pool is not None and self._pool_pid == os.getpid():
                self._pool.close()
            self._pool = None

    def _connections(self) -> HTTPConnectionPool:
        with self._lock:
            if self._pool is None or self._pool_pid != os.getpid():
                from darkroom.adapters.broker.deadlines import connection_pool

                self._pool = connection_pool(self._host, self._port, is_secure=self._is_secure, kept_idle=_KEPT_IDLE)
                self._pool_pid = os.getpid()
            return self._pool


def _check_lines(headers: Mapping[str, str]) -> None:
    """Raise ValueError for a folded line. urllib3 would accept it, and some servers read it as another header."""
    for name, value in headers.items():
        field = f"{name}: {value}"
        if "\r" in field or "\n" in field:
            raise ValueError(f"a header field must be one line, was {field[:200]!r}")


def _final_status(answer: BaseHTTPResponse) -> int:
    """Return the status, after reading a short body so that the connection can be kept."""
    from urllib3.exceptions import HTTPError

    if answer.status < 200:
        # Of the interim responses (RFC 9110, section 15.2), http.client skips only 100 Continue.
        raise UnreadableAnswerError(
            f"the sink announced an answer with {answer.status} and http.client reads no further"
        )
    body_bytes = answer.length_remaining
    if getattr(answer, "chunked", False) or (body_bytes is not None and body_bytes <= _MAX_BODY_BYTES):
        try:
            answer.read(_MAX_BODY_BYTES)
        except (HTTPError, OSError):
            # The status is all that matters. The connection that failed is closed already.
            return answer.status
    return answer.status


def _translated(exc: HTTPError, *, took_s: float, timeout_s: float) -> Exception:
    """Return the underlying error without urllib3's wrapping, whose text contains the sink's address."""
    from urllib3.exceptions import NewConnectionError
    from urllib3.exceptions import TimeoutError as TimedOut

    if isinstance(exc, TimedOut) and not isinstance(exc, NewConnectionError):
        return TimeoutError(f"no answer after {took_s:.2f} s, the limit is {timeout_s:g} s")
    cause = exc.__cause__ or exc.args[-1]
    return cause if isinstance(cause, OSError) else UnreadableAnswerError(str(cause))
