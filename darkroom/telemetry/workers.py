"""Who holds a lease, and whether that process is still there.

Only its neighbours, in the same pod or on the same machine, can tell; to everybody else a worker is dead when its lease
has run out.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19
"""Of /proc/PID/stat after the program's name, which is in parentheses and may itself hold anything (proc(5))."""
_ENDED_STATES = "ZX"


def worker_name() -> str:
    """`host:pid:start`: the pod (or machine), the process in it, and when that began, since pids are used again.

    `start` is in clock ticks after the machine's start; empty where there is no /proc.
    """
    return _name_of(os.getpid())


@lru_cache(maxsize=1)
def _name_of(pid: int) -> str:
    """Read once a process, and again in its forks."""
    return f"{socket.gethostname()}:{pid}:{start_ticks_of(pid) or ''}"


def is_gone(worker: str) -> bool:
    """True only for a process of our own host that has certainly ended. A paused one has not."""
    host, pid, start = _parts(worker)
    if host != socket.gethostname() or not pid.isdecimal() or not start.isdecimal():
        return False
    if start_ticks_of(os.getpid()) is None:
        return False
    return start_ticks_of(int(pid)) != start


def _parts(worker: str) -> tuple[str, str, str]:
    host_and_pid, _, start = worker.rpartition(":")
    host, _, pid = host_and_pid.rpartition(":")
    return host, pid, start


def start_ticks_of(pid: int) -> str | None:
    """None when there is no such process, or it has ended and only waits to be reaped."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE_FIELD] in _ENDED_STATES else fields[_START_FIELD]
