"""Finds free loopback ports, and names the program that holds a port. Nothing here listens on a port."""

from __future__ import annotations

import os
import random
import socket
import sys
from pathlib import Path

import psutil

from darkroom.local.errors import LocalRuntimeError, PortTakenError

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
HIGHEST_PORT = 65_535
DEFAULT_EPHEMERAL_START = 32_768
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 2_000

_reservations: dict[int, int | None] = {}
"""Ports allocated in this process, whose owner may not be listening yet, with the descriptors that keep other runs away
from them.
"""


def free_port() -> int:
    """Allocate a port on which nobody listens and which no other run on this machine has allocated.

    The port is below the range that the kernel uses for outgoing connections. Otherwise such a connection could take a
    server's port while the server restarts, and a readiness probe could connect to itself.
    """
    ephemeral_start = _ephemeral_start()
    for _ in range(ATTEMPTS):
        port = random.randrange(LOWEST_PORT, ephemeral_start)  # noqa: S311 - no secret, only scattered
        if port not in _reservations and is_free(port) and _reserve(port):
            return port
    raise LocalRuntimeError(f"no free port between {LOWEST_PORT} and {ephemeral_start} after {ATTEMPTS} attempts")


def free_port_pair(offset: int) -> tuple[int, int]:
    """Allocate two free ports, the second `offset` above the first."""
    for _ in range(ATTEMPTS):
        first = free_port()
        if first + offset <= HIGHEST_PORT and is_free(first + offset):
            return first, first + offset
        release(first)
    raise LocalRuntimeError(f"no two free ports {offset} apart after {ATTEMPTS} attempts")


def release(port: int) -> None:
    """Make a port available again after its owner is gone."""
    reservation = _reservations.pop(port, None)
    if reservation is not None:
        os.close(reservation)


def _reserve(port: int) -> bool:
    """Take a name of the kernel's abstract namespace for the port, which ends with this process; False if another run
    has it. Between the choice of a port and its server's start lie seconds, in which another run may choose it too.
    """
    if sys.platform != "linux":
        _reservations[port] = None
        return True
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0darkroom-port-{port}")
    except OSError:
        reservation.close()
        return False
    _reservations[port] = reservation.detach()
    return True


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do. Without it, a port with connections in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_free(port: int) -> None:
    """Raise PortTakenError, which names the program, if a port is taken."""
    if not is_free(port):
        raise PortTakenError(port, port_holder(port) or "another program")


def port_holder(port: int) -> str | None:
    """Describe who listens on a port, as in `nginx (pid 123)`; None if nobody does.

    The name of another user's program may be unknown.
    """
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
