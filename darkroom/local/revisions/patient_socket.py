"""A socket that lets us read an answer that was given before we had sent everything.

A function that refuses a body (413) answers and closes while we are still sending. The kernel then fails our next send,
upon which asyncio closes the connection with the answer unread in it, and the client gets a 502 for a plain 413.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


class PatientSocket(socket.socket):
    """A failed send is kept for the reading side: what the peer still said comes first, then the error."""

    _send_error: OSError | None = None

    def send(self, data: Any, flags: int = 0) -> int:
        return self._attempt(lambda: super(PatientSocket, self).send(data, flags), memoryview(data).nbytes)

    def sendmsg(self, buffers: Any, *args: Any) -> int:
        total = sum(memoryview(buffer).nbytes for buffer in buffers)
        return self._attempt(lambda: super(PatientSocket, self).sendmsg(buffers, *args), total)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if not data and self._send_error is not None:
            # Not the orderly end that it looks like: the failed send has taken the error away from us.
            raise ConnectionResetError(*self._send_error.args)
        return data

    def _attempt(self, send: Callable[[], int], total: int) -> int:
        if self._send_error is not None:
            return total
        try:
            return send()
        except (BrokenPipeError, ConnectionResetError) as error:
            self._send_error = error
            return total
