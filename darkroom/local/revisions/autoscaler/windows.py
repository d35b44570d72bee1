"""Averages measurements over a sliding window of one-second buckets.

Follows Knative's `TimedFloat64Buckets` (pkg/autoscaler/aggregation/bucketing.go).
"""

from __future__ import annotations

import math
from collections import deque

from darkroom.manifests.revision import ScalingConfig

_DIGITS = 6
"""Averages are rounded, so that a sum of floats slightly above 2 does not require a third instance."""


def panic_window_s(config: ScalingConfig) -> float:
    """Return the length of the panic window: a part of the stable window, at least one bucket."""
    return max(1.0, config.window_s * config.panic_window_percentage / 100)


class ConcurrencyWindow:
    """A sliding window. Values recorded within the same second add up, as those of several reporters do."""

    def __init__(self, window_s: float) -> None:
        self.size = max(1, math.ceil(window_s))
        """In buckets of one second."""
        self._buckets: deque[tuple[int, float]] = deque()
        self._first: int | None = None
        """The second of the first write since the window was last empty."""

    def record(self, now_s: float, value: float) -> None:
        """Record a value. `now_s` must not be before the second of the last write."""
        second = math.floor(now_s)
        if self._buckets and second - self._buckets[-1][0] >= self.size:
            self._buckets.clear()
        if not self._buckets:
            self._first = second
        if self._buckets and second <= self._buckets[-1][0]:
            last, total = self._buckets.pop()
            self._buckets.append((last, total + value))
        else:
            self._buckets.append((second, value))
        self._drop_expired(self._buckets[-1][0])

    def average(self, now_s: float) -> float:
        """Return the average, which is 0 after a whole window without data.

        If the window is not full yet, only the seconds that it covers count; seconds since the last write do not.
        """
        if not self._buckets or self._first is None:
            return 0.0
        last = self._buckets[-1][0]
        now = max(math.floor(now_s), last)
        if now - last >= self.size:
            return 0.0
        total = sum(value for second, value in self._buckets if second > now - self.size)
        seconds = min(last - self._first + 1, self.size - (now - last))
        return round(total / seconds, _DIGITS)

    def _drop_expired(self, now: int) -> None:
        while self._buckets[0][0] <= now - self.size:
            self._buckets.popleft()
