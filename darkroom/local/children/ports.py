"""Loopback ports: finding free ones, and naming the program that holds one that is not.

Nothing here listens on a port or keeps one.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

import psutil

from darkroom.local.errors import LocalRuntimeError, PortTakenError

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
HIGHEST_PORT = 65_535
DEFAULT_EPHEMERAL_START = 32_768
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 2_000

_handed_out: set[int] = set()
"""Ports given away in this process whose new owner may not listen yet."""


def free_port() -> int:
    """A port on which nobody listens, never given away before by this process.

    It lies below the range from which the kernel takes the local ports of outgoing connections. Otherwise such a
    connection could take a server's port while it restarts, and a readiness probe could connect to itself.
    """
    ephemeral_start = _ephemeral_start()
    for _ in range(ATTEMPTS):
        port = random.randrange(LOWEST_PORT, ephemeral_start)  # noqa: S311 - no secret, only scattered
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise LocalRuntimeError(f"no free port between {LOWEST_PORT} and {ephemeral_start} after {ATTEMPTS} attempts")


def free_port_pair(offset: int) -> tuple[int, int]:
    """Two free ports, the second `offset` above the first."""
    for _ in range(ATTEMPTS):
        first = free_port()
        if first + offset <= HIGHEST_PORT and is_free(first + offset):
            return first, first + offset
        release(first)
    raise LocalRuntimeError(f"no two free ports that lie {offset} apart after {ATTEMPTS} attempts")


def release(port: int) -> None:
    """The port's owner is gone; it may be given away again."""
    _handed_out.discard(port)


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it; without it a port with connections in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(port: int) -> None:
    """Raises PortTakenError, which names the program."""
    if not is_free(port):
        raise PortTakenError(port, who_holds(port) or "another program")


def who_holds(port: int) -> str | None:
    """`nginx (pid 123)`; None when nobody listens there. Another user's process may stay nameless."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.laddr.port != port:
            continue
        if connection.pid is None:
            return "another user's program"
        try:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
        except psutil.Error:
            return f"a program that has just ended (pid {connection.pid})"
    return None


def _ephemeral_start() -> int:
    try:
        start = int(EPHEMERAL_RANGE.read_text().split()[0])
    except FileNotFoundError:
        return DEFAULT_EPHEMERAL_START
    return start if start > LOWEST_PORT + ATTEMPTS else DEFAULT_EPHEMERAL_START
