"""When this instance was started and became ready, for the trace of a job that waited for it.

An instance is gunicorn's master process, which imports the functions, starts to listen, and then forks the workers that
serve requests.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from darkroom.telemetry.workers import start_ticks_of

_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class InstanceStart:
    """Times in nanoseconds since the epoch."""

    started_ns: int
    """When the process began, to ten milliseconds."""
    ready_ns: int


@dataclass(kw_only=True)
class _Watched:
    instance_pid: int
    forked_ns: int | None = None
    was_taken: bool = False


_watched: _Watched | None = None


def watch() -> None:
    """Remember this process as the instance's master. Call it before the workers are forked."""
    global _watched
    _watched = _Watched(instance_pid=os.getpid())
    os.register_at_fork(after_in_child=_note_fork)


def take() -> InstanceStart | None:
    """Return the instance's start on the first call in each worker; None afterwards, or if it is unknown."""
    if _watched is None or _watched.was_taken or _watched.forked_ns is None:
        return None
    _watched.was_taken = True
    ticks = start_ticks_of(_watched.instance_pid)
    if ticks is None:
        return None
    return InstanceStart(started_ns=_since_the_epoch_ns(int(ticks)), ready_ns=_watched.forked_ns)


def _note_fork() -> None:
    if _watched is not None:
        _watched.forked_ns = time.time_ns()


def _since_the_epoch_ns(ticks: int) -> int:
    """Convert clock ticks since boot, which include time asleep (proc(5)), to nanoseconds since the epoch."""
    booted_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return booted_ns + ticks * _NS // os.sysconf("SC_CLK_TCK")
