"""A process that stands still for a while: it lives, its kernel takes its connections, and nobody answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STOPPED_WITHIN_S = 10.0
_STOPPED = {"T", "t"}


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stopped by SIGSTOP in all its threads, and continued at the end if it still lives."""
    os.kill(pid, signal.SIGSTOP)
    try:
        _wait_until_stopped(pid)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid: int) -> None:
    """A thread on another core goes on until the signal reaches it, and may answer one request more."""
    give_up_at = time.monotonic() + STOPPED_WITHIN_S
    while not (states := _states_of_threads(pid)) <= _STOPPED:
        if time.monotonic() > give_up_at:
            raise AssertionError(f"process {pid} was not stopped within {STOPPED_WITHIN_S:g} s: {states}")
        time.sleep(0.001)


def _states_of_threads(pid: int) -> set[str]:
    """As /proc has them; none of a process that is gone."""
    states = set()
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            states.add(file.read_text().rpartition(")")[2].split()[0])
    return states
