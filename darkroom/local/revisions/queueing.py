"""The activator's decisions, pure: which instance gets a request, who waits, and which instances are given back.

`admission` and `pool` carry them out with real instances, and the simulator with simulated ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

MAX_QUEUED = 10_000
"""Requests that wait for a revision, as in Knative's activator."""


class Loaded(Protocol):
    """An instance, as far as these decisions look at it."""

    @property
    def in_flight(self) -> int: ...


class Removable(Loaded, Protocol):
    @property
    def is_ready(self) -> bool: ...


WaiterT = TypeVar("WaiterT")
LoadedT = TypeVar("LoadedT", bound=Loaded)
RemovableT = TypeVar("RemovableT", bound=Removable)


def has_room(container_concurrency: int, in_flight: int) -> bool:
    """Report whether a ready instance takes one more request; 0 means no limit."""
    return container_concurrency == 0 or in_flight < container_concurrency


def least_busy(with_room: Iterable[LoadedT]) -> LoadedT | None:
    """Return the instance with the fewest requests; the one that was started first among equals."""
    return min(with_room, key=_in_flight, default=None)


def _in_flight(instance: Loaded) -> int:
    return instance.in_flight


def surplus(kept: Sequence[RemovableT], wanted: int) -> Sequence[RemovableT]:
    """Return which instances are given back: first those not ready yet, then those with the fewest requests; the
    newest first among equals. `kept` is in the order in which they were started.
    """
    newest_first = kept[::-1]
    by_removal = sorted(newest_first, key=lambda one: (one.is_ready, one.in_flight))
    return by_removal[: max(0, len(kept) - wanted)]


class WaitingLine(OrderedDict[WaiterT, None]):
    """The requests that wait for an instance, in order of arrival. One that gives up leaves from the middle."""

    def __init__(self, max_queued: int = MAX_QUEUED) -> None:
        super().__init__()
        self.max_queued = max_queued

    @property
    def is_full(self) -> bool:
        return len(self) >= self.max_queued

    def join(self, waiter: WaiterT) -> None:
        self[waiter] = None

    def leave(self, waiter: WaiterT) -> None:
        """Take out whoever gives up. Has no effect on one that has left already."""
        self.pop(waiter, None)

    def take_first(self) -> WaiterT:
        return self.popitem(last=False)[0]

    def take_all(self) -> list[WaiterT]:
        waiting = list(self)
        self.clear()
        return waiting
