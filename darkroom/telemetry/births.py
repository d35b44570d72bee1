"""When this instance was started and when it was ready: what a job that came before had to wait for.

An instance is gunicorn's master, which imports the functions; it listens, and then forks the workers that serve.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from darkroom.telemetry.workers import start_ticks_of

_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Birth:
    """Nanoseconds since the epoch."""

    started_ns: int
    """When the process began, to ten milliseconds."""
    ready_ns: int


@dataclass(kw_only=True)
class _Watched:
    instance_pid: int
    forked_ns: int | None = None
    was_told: bool = False


_watched: _Watched | None = None


def watch() -> None:
    """For the master, before it forks."""
    global _watched
    _watched = _Watched(instance_pid=os.getpid())
    os.register_at_fork(after_in_child=_note_fork)


def first_use() -> Birth | None:
    """Once in each worker: the birth of its instance. None when it was told before, or cannot be known."""
    if _watched is None or _watched.was_told or _watched.forked_ns is None:
        return None
    _watched.was_told = True
    ticks = start_ticks_of(_watched.instance_pid)
    if ticks is None:
        return None
    return Birth(started_ns=_since_the_epoch_ns(int(ticks)), ready_ns=_watched.forked_ns)


def _note_fork() -> None:
    if _watched is not None:
        _watched.forked_ns = time.time_ns()


def _since_the_epoch_ns(ticks: int) -> int:
    """proc(5): ticks count from the machine's start, sleep included."""
    booted_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return booted_ns + ticks * _NS // os.sysconf("SC_CLK_TCK")
