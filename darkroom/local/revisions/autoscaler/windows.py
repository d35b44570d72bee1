"""The average of what was measured over a sliding window of one-second buckets.

Knative's `TimedFloat64Buckets` (pkg/autoscaler/aggregation/bucketing.go).
"""

from __future__ import annotations

import math
from collections import deque

from darkroom.manifests.revision import ScalingConfig

_DIGITS = 6
"""An average is rounded: a sum of floats that is a hair above 2 must not want a third instance."""


def panic_window_s(config: ScalingConfig) -> float:
    """A part of the stable window, at least one bucket."""
    return max(1.0, config.window_s * config.panic_window_percentage / 100)


class ConcurrencyWindow:
    """Values recorded within the same second add up, as those of several reporters do."""

    def __init__(self, window_s: float) -> None:
        self._size = max(1, math.ceil(window_s))
        self._buckets: deque[tuple[int, float]] = deque()
        self._first: int | None = None
        """The second of the first write since the window was last empty."""

    def record(self, now_s: float, value: float) -> None:
        """Times never go back further than the last write's second."""
        second = math.floor(now_s)
        if self._buckets and second - self._buckets[-1][0] >= self._size:
            self._buckets.clear()
        if not self._buckets:
            self._first = second
        if self._buckets and second <= self._buckets[-1][0]:
            last, total = self._buckets.pop()
            self._buckets.append((last, total + value))
        else:
            self._buckets.append((second, value))
        self._forget(self._buckets[-1][0])

    def average(self, now_s: float) -> float:
        """0 without data for a whole window.

        A window that is not full yet is divided by the seconds it has; seconds since the last write are not counted.
        """
        if not self._buckets or self._first is None:
            return 0.0
        last = self._buckets[-1][0]
        now = max(math.floor(now_s), last)
        if now - last >= self._size:
            return 0.0
        total = sum(value for second, value in self._buckets if second > now - self._size)
        seconds = min(last - self._first + 1, self._size - (now - last))
        return round(total / seconds, _DIGITS)

    def _forget(self, now: int) -> None:
        while self._buckets[0][0] <= now - self._size:
            self._buckets.popleft()
