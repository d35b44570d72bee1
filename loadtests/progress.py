"""What is shown while a run goes on: one line, rewritten on a terminal, and added every ten seconds elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import pictures
from loadtests.load import Load
from loadtests.observing import Observed
from loadtests.percentiles import format_duration

EVERY_S = 1.0
_WITHOUT_A_TERMINAL_S = 10.0


def load_line(load: Load, observed: Observed | None) -> str:
    """Describe how far the load is."""
    ledger, now = load.ledger, load.clock()
    at_s = now - load.begin().began_at
    ended = [job for job in ledger.jobs.values() if job.status is not None]
    failed = sum(job.status is JobStatus.FAILED for job in ended)
    parts = [
        f"{max(0.0, at_s):.0f} of {load.shape.seconds:g} s" if at_s < load.shape.seconds else f"{at_s:.0f} s, all came",
        f"{pictures(ledger.posted)} handed in",
        f"{len(ended) - failed} done",
        *([f"{failed} failed"] if failed else []),
        _waiting(load, now),
        *_instances(observed),
    ]
    return ", ".join(part for part in parts if part)


def _waiting(load: Load, now: float) -> str:
    unfinished = load.ledger.unfinished
    if not unfinished:
        return ""
    oldest_s = now - min(job.posted_at for job in unfinished)
    return f"{len(unfinished)} under way (the oldest for {format_duration(oldest_s)})"


def _instances(observed: Observed | None) -> list[str]:
    if observed is None or not observed.observations:
        return []
    last = observed.observations[-1]
    busy = [name for name in sorted(last.ready) if last.ready[name] or last.wanted.get(name)]
    return [f"{name} {last.ready[name]}/{last.wanted.get(name, 0)}" for name in busy]


def audit_line(*, unfinished: int, checked: int, jobs: int) -> str:
    """Describe how far the audit is."""
    if unfinished:
        return f"the load is over; following {unfinished} jobs to their end"
    return f"the load is over; compared {checked} of {jobs} jobs with what exists"


class ProgressLine:
    """Shows the newest line. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float], *, to: TextIO | None = None) -> None:
        self._clock = clock
        self._to = to or sys.stderr
        self._width = 0
        self._shown_at: float | None = None

    def show(self, line: str) -> None:
        if self._to.isatty():
            self._to.write(f"\r{line.ljust(self._width)}")
            self._width = len(line)
        elif self._shown_at is None or self._clock() - self._shown_at >= _WITHOUT_A_TERMINAL_S:
            self._to.write(f"{line}\n")
            self._shown_at = self._clock()
        self._to.flush()

    def end(self) -> None:
        """Leave the line, so that what is printed next begins on one of its own."""
        if self._to.isatty() and self._width:
            self._to.write("\n")
            self._to.flush()
        self._width = 0
