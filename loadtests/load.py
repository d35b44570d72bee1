"""One run: what its visitors share, and what is left of it when they have gone."""

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
    """After the last arrival; what has not ended by then is stuck."""
    broker_url: str | None
    headers: Mapping[str, str]
    """With every request to the API: the key."""
    tell: Callable[[FollowedJob], None]
    """Called with each job whose end was seen."""
    clock: RunClock = field(default_factory=RunClock)
    requests: list[Request] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=make_pictures)
    schedule: Schedule | None = None
    busy_before: float = 0.0
    """This machine's load average over the minute before the beginning."""
    interrupted: bool = False
    """Somebody wants it to end now."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.clock)
        self._orders: Iterator[Order] = endless_orders()
        self._turn = threading.Lock()
        self._cpu_before_s = time.process_time()

    def begin(self) -> Schedule:
        """The schedule, which starts with the first call."""
        if self.schedule is None:
            self._cpu_before_s = time.process_time()
            self.busy_before = os.getloadavg()[0]
            self.schedule = Schedule(self.shape.arrivals_s(scale=self.scale), self.clock)
        return self.schedule

    def cpu_s(self) -> float:
        """What this process has computed since the beginning."""
        return time.process_time() - self._cpu_before_s

    @property
    def is_over(self) -> bool:
        """Everybody has left, they have been waited for long enough, or nobody wants to."""
        schedule = self.begin()
        ends_at = schedule.began_at + self.shape.seconds + self.settle_s
        return self.interrupted or schedule.everybody_has_left or self.clock() > ends_at

    def next_order(self) -> Order:
        with self._turn:
            return next(self._orders)

    def submission(self, *orders: Order) -> Submission:
        return self.ledger.open([order.name for order in orders])

    def seen(self, state: JobState) -> bool:
        """Whether the job has ended; if so it is written down."""
        if not state.is_final:
            return False
        error = str(state.error["code"]) if state.status is JobStatus.FAILED else None
        job = self.ledger.ended(state.job_id, state.status, error)
        if job is not None:
            self.tell(job)
        return True
