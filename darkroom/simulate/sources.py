"""Where requests come from: each Arrivals of the Scenario, in one order of time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from math import inf
from operator import itemgetter
from typing import TypeAlias, TypeVar

from darkroom.simulate.flow import Message, Occasional, SimulatedFlow
from darkroom.simulate.model import Arrivals
from darkroom.simulate.recording import PathRecorder
from darkroom.simulate.requests import Outcome, Request
from darkroom.simulate.service import SimulatedService

Arrive: TypeAlias = Callable[[float], None]
"""Lets the next request of a source come, at this time."""

ValueT = TypeVar("ValueT")

NOBODY = ""
"""The owner of arrivals without owners."""


class DirectRequests:
    """HTTP requests to a Service."""

    def __init__(
        self, arrivals: Arrivals, service: SimulatedService, recorder: PathRecorder, emission: Occasional | None
    ) -> None:
        self._service = service
        self._recorder = recorder
        self._hop_s = service.model.hop_s
        self._emission = emission
        self._next_size = _values(arrivals.sizes, 1.0).__next__
        self._next_owner = _values(arrivals.owners, NOBODY).__next__ if emission is not None else None
        self._deadlines = service.deadlines(inf)

    def arrive(self, now_s: float) -> None:
        owner = NOBODY if self._next_owner is None else self._next_owner()
        self._service.arrive(now_s, Request(self, owner, self._next_size()), self._deadlines)

    def answered(self, now_s: float, request: Request, outcome: Outcome) -> None:
        if outcome is not Outcome.SUCCEEDED:
            return
        self._recorder.add(request.entered_s, now_s + self._hop_s, cold=request.cold)
        if self._emission is not None:
            message = Message(request.entered_s, request.size, request.origin)
            message.cold = request.cold
            self._emission.emit(now_s, message)


class Events:
    """Events to Triggers."""

    def __init__(self, arrivals: Arrivals, flows: Sequence[SimulatedFlow]) -> None:
        self._flows = flows
        self._next_size = _values(arrivals.sizes, 1.0).__next__
        self._next_owner = _values(arrivals.owners, NOBODY).__next__

    def arrive(self, now_s: float) -> None:
        size, owner = self._next_size(), self._next_owner()
        for flow in self._flows:
            flow.publish(now_s, Message(now_s, size, owner))


def in_order(sources: Sequence[tuple[Sequence[float], Arrive]], until_s: float) -> Iterator[tuple[float, Arrive]]:
    """Yield the time and source of each arrival before the end; of those at the same time, the first source's first."""
    cut = [(times[: bisect_left(times, until_s)], arrive) for times, arrive in sources]
    if len(cut) == 1:
        times, arrive = cut[0]
        return zip(times, repeat(arrive), strict=False)
    merged = [(at_s, arrive) for times, arrive in cut for at_s in times]
    merged.sort(key=itemgetter(0))
    return iter(merged)


def _values(values: Sequence[ValueT] | None, default: ValueT) -> Iterator[ValueT]:
    return repeat(default) if values is None else iter(values)
