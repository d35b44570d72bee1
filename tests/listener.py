"""A port that takes connections and answers nothing, for tests of who connects and when."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers import LOOPBACK


@dataclass(frozen=True)
class Listener:
    _socket: socket.socket

    @property
    def address(self) -> str:
        """Host and port, as they stand in a URL."""
        return f"{LOOPBACK}:{self._socket.getsockname()[1]}"

    def was_connected_to(self) -> bool:
        """Since the last time this was asked."""
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True


@contextmanager
def listening() -> Iterator[Listener]:
    with socket.create_server((LOOPBACK, 0)) as made:
        made.setblocking(False)
        yield Listener(made)


def threads_of_this_process() -> set[int]:
    """Of any library: Python knows only its own."""
    return {int(name) for name in os.listdir("/proc/self/task")}
