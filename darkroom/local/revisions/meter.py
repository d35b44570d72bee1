"""Measures a revision's average number of requests by this machine's clock; the arithmetic is in `autoscaler`."""

from __future__ import annotations

import time
from collections.abc import Callable

from darkroom.local.revisions.autoscaler import LoadIntegral


class ConcurrencyMeter:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._load = LoadIntegral(clock())

    @property
    def current(self) -> int:
        return self._load.current

    def enter(self) -> None:
        self._load.enter(self._clock())

    def leave(self) -> None:
        self._load.leave(self._clock())

    def take_average(self) -> float:
        """Return the time-weighted average since the last call, or the current number if no time has passed."""
        return self._load.take_average(self._clock())
