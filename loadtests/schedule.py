"""The schedule of a run: which visitor comes when, and who has left."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

LEAD_S = 2.0
"""Visitors are called this long before their moment: locust starts them once a second, all at once."""


class Schedule:
    def __init__(self, arrivals_s: Sequence[float], clock: Callable[[], float]) -> None:
        self._arrivals_s = arrivals_s
        self._clock = clock
        self._called = 0
        self._came = 0
        self._gone = 0
        self.began_at = clock() + LEAD_S
        """When the first stage begins, in seconds since the epoch."""
        self.latest_s = 0.0
        """The largest delay of any visitor. A large number means that the load generator itself was too slow."""

    @property
    def visitors(self) -> int:
        return len(self._arrivals_s)

    @property
    def came(self) -> int:
        return self._came

    @property
    def everybody_has_left(self) -> bool:
        return self._gone >= self.visitors

    def due_soon(self) -> int:
        """Return how many should be here by now, so that each can wait for his moment."""
        return bisect_right(self._arrivals_s, self._clock() - self.began_at + LEAD_S)

    def next_moment(self) -> float:
        """Return the next visitor's moment, in seconds since the epoch; no two get the same place."""
        place, self._called = self._called, self._called + 1
        return self.began_at + self._arrivals_s[place]

    def arrived(self, moment: float) -> None:
        """Record that the visitor of this moment has arrived, now."""
        self._came += 1
        self.latest_s = max(self.latest_s, self._clock() - moment)

    def left(self) -> None:
        self._gone += 1
