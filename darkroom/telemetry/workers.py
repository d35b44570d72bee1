"""Names the process that holds a lease, and detects whether it is still alive.

Only processes in the same pod or on the same machine can detect this. For all others, a worker is dead when its lease
has expired.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
_STATE_FIELD, _START_FIELD = 0, 19
"""Field indexes in /proc/PID/stat after the program's name, which is in parentheses and may hold anything (proc(5))."""
_ENDED_STATES = "ZX"


def worker_name() -> str:
    """Return `host:pid:start`: the pod or machine, the process, and when it started, because pids are reused.

    `start` is in clock ticks since boot; empty where there is no /proc.
    """
    return _name_of(os.getpid())


@lru_cache(maxsize=1)
def _name_of(pid: int) -> str:
    """Cached per process: a fork has another pid."""
    return f"{socket.gethostname()}:{pid}:{start_ticks_of(pid) or ''}"


def is_gone(worker: str) -> bool:
    """Report whether a process on our own host has certainly ended. A paused process has not."""
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
    """Return when a process started, in clock ticks since boot; None if it does not exist or is a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE_FIELD] in _ENDED_STATES else fields[_START_FIELD]
