"""The clock of a run: seconds since the epoch that never step back, so that all its charts share one axis."""

from __future__ import annotations

import time


class RunClock:
    def __init__(self) -> None:
        self._epoch_minus_monotonic = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._epoch_minus_monotonic + time.monotonic()

    def set(self, now: float) -> None:
        """Follow another clock, which shows this time now: a worker's follows that of the master."""
        self._epoch_minus_monotonic = now - time.monotonic()
