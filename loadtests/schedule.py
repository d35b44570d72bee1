"""Who comes when, and who has gone: the visitors of a run, handed their moments one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

LEAD_S = 2.0
"""Visitors are called so long before their moment: locust brings them once a second, all at once."""


class Schedule:
    def __init__(self, arrivals_s: Sequence[float], clock: Callable[[], float]) -> None:
        self._arrivals_s = arrivals_s
        self._clock = clock
        self._called = 0
        self._came = 0
        self._gone = 0
        self.began_at = clock() + LEAD_S
        """The moment of the first stage's beginning, seconds since the epoch."""
        self.latest_s = 0.0
        """By how much the visitor who was latest was late: large numbers mean that the load itself was too slow."""

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
        """How many should be here by now, so that each can wait for his moment."""
        return bisect_right(self._arrivals_s, self._clock() - self.began_at + LEAD_S)

    def next_moment(self) -> float:
        """That of the visitor who asks, seconds since the epoch; no two have the same place in the row."""
        place, self._called = self._called, self._called + 1
        return self.began_at + self._arrivals_s[place]

    def arrived(self, moment: float) -> None:
        """Now; his moment was this."""
        self._came += 1
        self.latest_s = max(self.latest_s, self._clock() - moment)

    def left(self) -> None:
        self._gone += 1
