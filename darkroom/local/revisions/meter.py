"""How many requests a revision has in the system, on average: what the autoscaler decides by.

A request counts from its arrival at the activator, waiting or running, to the end of its answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class ConcurrencyMeter:
    """Integrates the number of requests over time, so that a tick reads a true average and not a sample."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._current = 0
        self._integral_s = 0.0
        """Requests x seconds since the last reading."""
        self._changed_at = self._read_at = clock()

    @property
    def current(self) -> int:
        return self._current

    def enter(self) -> None:
        self._integrate()
        self._current += 1

    def leave(self) -> None:
        self._integrate()
        self._current -= 1

    def take_average(self) -> float:
        """The time-weighted average since the last call; right after it, the current number."""
        self._integrate()
        elapsed_s = self._changed_at - self._read_at
        average = self._integral_s / elapsed_s if elapsed_s > 0 else float(self._current)
        self._integral_s = 0.0
        self._read_at = self._changed_at
        return average

    def _integrate(self) -> None:
        now = self._clock()
        self._integral_s += self._current * (now - self._changed_at)
        self._changed_at = now
