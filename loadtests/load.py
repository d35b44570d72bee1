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
from loadtests.orders import Order, endless_orders, make_pictures
from loadtests.schedule import Schedule
from loadtests.shapes import Shape


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
    clock: RunClock = field(default_factory=RunClock)
    requests: list[Request] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=make_pictures)
    schedule: Schedule | None = None
    busy_before: float = 0.0
    """This machine's load average over the minute before the run."""
    interrupted: bool = False
    """The run was told to end early."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.clock)
        self._orders: Iterator[Order] = endless_orders()
        self._turn = threading.Lock()
        self._cpu_before_s = time.process_time()

    def begin(self) -> Schedule:
        """Return the schedule, which starts with the first call."""
        if self.schedule is None:
            self._cpu_before_s = time.process_time()
            self.busy_before = os.getloadavg()[0]
            self.schedule = Schedule(self.shape.arrivals_s(scale=self.scale), self.clock)
        return self.schedule

    def cpu_s(self) -> float:
        """Return the CPU time of this process since the beginning."""
        return time.process_time() - self._cpu_before_s

    @property
    def is_over(self) -> bool:
        """Whether everybody has left, the wait for them is over, or the run was interrupted."""
        schedule = self.begin()
        ends_at = schedule.began_at + self.shape.seconds + self.settle_s
        return self.interrupted or schedule.everybody_has_left or self.clock() > ends_at

    def next_order(self) -> Order:
        with self._turn:
            return next(self._orders)

    def submission(self, *orders: Order) -> Submission:
        return self.ledger.open([order.name for order in orders])

    def seen(self, state: JobState) -> bool:
        """Record the job if it has ended, and return whether it has."""
        if not state.is_final:
            return False
        error = str(state.error["code"]) if state.status is JobStatus.FAILED else None
        job = self.ledger.ended(state.job_id, state.status, error)
        if job is not None:
            self.on_end(job)
        return True
