"""The state of one run: what its visitors share, and what remains of it when they have left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from darkroom.client import JobState
from darkroom.contract.jobs import JobStatus
from loadtests.clock import RunClock
from loadtests.ledger import FollowedJob, Ledger, Submission
from loadtests.orders import Order, endless_orders, pictures_of_all_kinds
from loadtests.schedule import LEAD_S, Places, Schedule
from loadtests.shapes import Shape

HOPELESS_AFTER = 5
"""So many submissions that were refused for good, and none that was accepted: the rest would fare no better."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request of a visitor."""

    name: str
    at: float
    took_s: float
    failed: bool


@dataclass(kw_only=True)
class Load:
    shape: Shape
    scale: float
    settle_s: float
    """Seconds after the last arrival; a job that has not ended by then is stuck."""
    broker_url: str | None
    headers: Mapping[str, str]
    """Sent with every request to the API: the key."""
    on_end: Callable[[FollowedJob], None]
    """Called with each job whose end was seen."""
    seed: int = 1
    """Of arrivals that are drawn."""
    lead_s: float = LEAD_S
    clock: RunClock = field(default_factory=RunClock)
    requests: list[Request] = field(default_factory=list)
    pictures: Mapping[str, bytes] = field(default_factory=pictures_of_all_kinds)
    schedule: Schedule | None = None
    """None before it began, and in a worker."""
    busy_before: float = 0.0
    """This machine's load average over the minute before the run."""
    workers_cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU time of each worker of a distributed locust."""
    lost_workers: list[str] = field(default_factory=list)
    """Workers that went missing, with what they had not reported."""
    interrupted: bool = False
    """The run was told to end early."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.clock)
        self._orders: Iterator[Order] = endless_orders()
        self._turn = threading.Lock()
        self._cpu_before_s = time.process_time()
        self._places: Places | None = None

    def begin(self) -> Schedule:
        """Return the schedule, which starts with the first call."""
        if self.schedule is None:
            self._cpu_before_s = time.process_time()
            self.busy_before = os.getloadavg()[0]
            arrivals_s = self.shape.arrivals_s(scale=self.scale, seed=self.seed)
            self.schedule = Schedule(arrivals_s, self.clock, lead_s=self.lead_s)
        return self.schedule

    def begin_as_worker(self, places: Places) -> None:
        """Begin with places that the master assigns."""
        self._places = places

    @property
    def places(self) -> Places:
        return self.begin() if self._places is None else self._places

    def cpu_s(self) -> float:
        """Return the CPU time of this process since the beginning, and that of its workers."""
        return time.process_time() - self._cpu_before_s + sum(self.workers_cpu_s.values())

    @property
    def is_over(self) -> bool:
        """Whether everybody has left, the wait for them is over, the run was interrupted, or nothing is accepted."""
        if self.interrupted or self.clock() > self.places.began_at + self.shape.seconds + self.settle_s:
            return True
        return self.schedule is not None and (self.schedule.everybody_has_left or self.hopeless is not None)

    @property
    def hopeless(self) -> str | None:
        """Why the run ends early: the first submissions were all refused for good."""
        if self.ledger.jobs:
            return None
        refused = [one for one in self.ledger.submissions if one.is_given_up]
        if len(refused) < HOPELESS_AFTER:
            return None
        return (
            f"the first {len(refused)} submissions were refused, the last answer to each was {_last_answers(refused)}"
        )

    def next_order(self) -> Order:
        with self._turn:
            return next(self._orders)

    def submission(self, *orders: Order, story: str = "") -> Submission:
        return self.ledger.open([order.name for order in orders], story=story)

    def seen(self, state: JobState, by: str) -> bool:
        """Record the job if it has ended, and return whether it has. `by` is how (loadtests.recording)."""
        if not state.is_final:
            return False
        error = str(state.error["code"]) if state.status is JobStatus.FAILED else None
        job = self.ledger.ended(state.job_id, state.status, error, seen_by=by)
        if job is not None:
            self.on_end(job)
        return True


def _last_answers(refused: list[Submission]) -> str:
    return " or ".join(sorted({one.refusals[-1] for one in refused if one.refusals}))
