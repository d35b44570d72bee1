"""Redrives or drops the letters of a plan, one after the other at a rate, in a thread of its own.

A run that dies with its process has lost nothing: each letter is either done or still kept, and redriving one again
leaves a job alone that is no longer failed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.job_console.letter_plans import Plan

RUNS_KEPT = 20
State = Literal["running", "finished", "stopped", "failed"]
ActOn = Callable[[KeptDeadLetter], str]
"""Does what is to be done with one letter, and says what was done, without ids."""
Ended = Callable[["Run"], None]


@dataclass(kw_only=True)
class Run:
    action: str
    """`redrive` or `drop`."""
    plan: Plan
    who: str
    rate: float | None
    """Letters per second at most; None: as fast as they go."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    began_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    state: State = "running"
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    error: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def total(self) -> int:
        return len(self.plan.letters)

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def summary(self) -> Mapping[str, object]:
        """What the audit log says at the end."""
        shown: dict[str, object] = {"state": self.state, "done": self.done, "of": self.total, **self.outcomes}
        return {**shown, "error": self.error} if self.error else shown

    def stop(self) -> None:
        """Have the run end after the letter that it is at."""
        self._stop.set()

    def work(self, act_on: ActOn) -> None:
        """Act on all letters, until it is stopped. What fails for want of a server ends it; the rest stays kept."""
        begins_at = time.monotonic()
        try:
            for number, kept in enumerate(self.plan.letters):
                if self._is_stopped_before(begins_at, number):
                    self.state = "stopped"
                    return
                # A new one each time: pages read it meanwhile.
                self.outcomes = self.outcomes + Counter((act_on(kept),))
                self.done += 1
            self.state = "finished"
        except DependencyUnavailableError as exc:
            self.state, self.error = "failed", f"{exc.code}: {exc.detail}"
        finally:
            self.ended_at = time.time()

    def _is_stopped_before(self, begins_at: float, number: int) -> bool:
        wait_s = 0.0 if self.rate is None else begins_at + number / self.rate - time.monotonic()
        return self._stop.wait(max(0.0, wait_s))


class Runs:
    """The runs of this process, the latest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._threads: list[threading.Thread] = []

    def add(self, run: Run) -> None:
        """Make the run known, and forget the oldest that have ended."""
        with self._lock:
            self._runs[run.id] = run
            ended = [each.id for each in self._runs.values() if not each.is_running]
            for id in ended[:-RUNS_KEPT]:
                del self._runs[id]

    def begin(self, run: Run, act_on: ActOn, ended: Ended) -> None:
        """Start a run that was added; `ended` is called in its thread, however it ends."""

        def work() -> None:
            try:
                run.work(act_on)
            finally:
                if run.is_running:
                    run.state, run.error = "failed", "an error of the console's own; its log has it"
                ended(run)

        thread = threading.Thread(target=work, name=f"{run.action} {run.id}")
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def get(self, id: str) -> Run | None:
        with self._lock:
            return self._runs.get(id)

    @property
    def latest(self) -> list[Run]:
        """The latest first."""
        with self._lock:
            return list(reversed(self._runs.values()))

    def close(self) -> None:
        """Stop all runs after the letters that they are at."""
        for run in self.latest:
            run.stop()
        for thread in self._threads:
            thread.join()
