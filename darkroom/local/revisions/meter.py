"""Measures a revision's average number of requests, on which the autoscaler bases its decisions.

A request counts from its arrival at the activator, whether waiting or running, to the end of its response.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class ConcurrencyMeter:
    """Integrates the number of requests over time, so that each reading is a true average and not a sample."""

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
        """Return the time-weighted average since the last call, or the current number if no time has passed."""
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
