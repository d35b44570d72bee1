"""A request on its way through a Service, what became of it, and the time within which it must be answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from darkroom.simulate.agenda import Agenda
    from darkroom.simulate.instances import SimulatedInstance

WAITING, RUNNING, DONE, ABANDONED = range(4)
"""A request's states. ABANDONED: answered by a timeout, while an instance still works on it."""


class Outcome(IntEnum):
    """Numbers, because they are indices of counts."""

    SUCCEEDED = 0
    FAILED = 1
    REFUSED = 2
    """503: the activator's queue is full."""
    TIMED_OUT = 3
    """504: the revision's timeout."""
    GIVEN_UP = 4
    """The caller's own timeout."""


class Caller(Protocol):
    """Whoever sends requests to a Service."""

    def answered(self, now_s: float, request: Request, outcome: Outcome) -> None: ...


class Request:
    __slots__ = ("began_s", "caller", "cold", "entered_s", "instance", "origin", "size", "state")

    def __init__(self, caller: Caller, origin: Any, size: float) -> None:
        self.caller = caller
        self.origin = origin
        """What the caller knows it by."""
        self.size = size
        self.state = WAITING
        self.cold = False
        """Whether it waited for an instance to start."""
        self.entered_s = 0.0
        """When it came to the activator."""
        self.began_s = 0.0
        self.instance: SimulatedInstance | None = None


class Deadlines:
    """The requests of one caller to one Service, all of which have the same time, and so expire in order.

    There is one timer for all of them, because hardly any of them expires.
    """

    __slots__ = ("_after_s", "_agenda", "_expire", "_is_set", "_pending")

    def __init__(self, agenda: Agenda, after_s: float, expire: Callable[[float, Request], None]) -> None:
        self._agenda = agenda
        self._after_s = after_s
        self._expire = expire
        self._pending: deque[Request] = deque()
        self._is_set = False

    def add(self, request: Request) -> None:
        pending = self._pending
        while pending and pending[0].state >= DONE:
            pending.popleft()
        pending.append(request)
        if not self._is_set:
            self._set()

    def _set(self) -> None:
        self._is_set = True
        self._agenda.enter(self._pending[0].entered_s + self._after_s, self._ring)

    def _ring(self, now_s: float, _: None) -> None:
        pending = self._pending
        while pending:
            first = pending[0]
            if first.state < DONE and first.entered_s + self._after_s > now_s:
                break
            pending.popleft()
            if first.state < DONE:
                # The caller may send its next request at once.
                self._expire(now_s, first)
        self._is_set = False
        if pending:
            self._set()
