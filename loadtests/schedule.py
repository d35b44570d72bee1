"""The schedule of a run: which visitor comes when, and who has left."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LEAD_S = 2.0
"""Visitors are called this long before their moment: locust starts them once a second, all at once."""
DISTRIBUTED_LEAD_S = 5.0
"""The same with workers, to whom locust sends visitors every other second."""


class Places(Protocol):
    """What a visitor needs of the schedule. With workers, each of them has its own, and asks that of the master."""

    @property
    def began_at(self) -> float:
        """When the first stage begins, in seconds since the epoch."""

    def next_moment(self) -> float | None:
        """Return the next visitor's moment, in seconds since the epoch; no two get the same place. None if there is no
        further one.
        """

    def arrived(self, moment: float) -> None:
        """Record that the visitor of this moment has arrived, now."""

    def left(self) -> None: ...


@dataclass(kw_only=True)
class Attendance:
    """How many visitors came and left, and the largest delay of any. A large delay means that the load generator itself
    was too slow.
    """

    came: int = 0
    gone: int = 0
    latest_s: float = 0.0

    def arrived(self, late_s: float) -> None:
        self.came += 1
        self.latest_s = max(self.latest_s, late_s)

    def left(self) -> None:
        self.gone += 1


class Schedule:
    def __init__(self, arrivals_s: Sequence[float], clock: Callable[[], float], *, lead_s: float = LEAD_S) -> None:
        self._arrivals_s = arrivals_s
        self._clock = clock
        self._lead_s = lead_s
        self._called = 0
        self.began_at = clock() + lead_s
        """When the first stage begins, in seconds since the epoch."""
        self.attendance: dict[str, Attendance] = {}
        """By load generator: this process, or each worker."""

    @property
    def visitors(self) -> int:
        return len(self._arrivals_s)

    @property
    def came(self) -> int:
        return sum(each.came for each in self.attendance.values())

    @property
    def latest_s(self) -> float:
        return max((each.latest_s for each in self.attendance.values()), default=0.0)

    @property
    def everybody_has_left(self) -> bool:
        return sum(each.gone for each in self.attendance.values()) >= self.visitors

    def due_soon(self) -> int:
        """Return how many should be here by now, so that each can wait for his moment."""
        return bisect_right(self._arrivals_s, self._clock() - self.began_at + self._lead_s)

    def next_moment(self) -> float | None:
        if self._called >= self.visitors:
            return None
        place, self._called = self._called, self._called + 1
        return self.began_at + self._arrivals_s[place]

    def arrived(self, moment: float) -> None:
        self._here.arrived(self._clock() - moment)

    def left(self) -> None:
        self._here.left()

    @property
    def _here(self) -> Attendance:
        return self.attendance.setdefault("here", Attendance())
