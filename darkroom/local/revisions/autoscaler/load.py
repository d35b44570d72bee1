"""Measures a revision's average number of requests, on which the autoscaler bases its decisions.

A request counts from its arrival at the activator, whether waiting or running, to the end of its response.
"""

from __future__ import annotations


class LoadIntegral:
    """Integrates the number of requests over time, so that each reading is a true average and not a sample."""

    __slots__ = ("_changed_at", "_integral_s", "_read_at", "current")

    def __init__(self, now_s: float) -> None:
        self.current = 0
        self._integral_s = 0.0
        """Requests x seconds since the last reading."""
        self._changed_at = self._read_at = now_s

    def enter(self, now_s: float) -> None:
        self._integral_s += self.current * (now_s - self._changed_at)
        self._changed_at = now_s
        self.current += 1

    def leave(self, now_s: float) -> None:
        self._integral_s += self.current * (now_s - self._changed_at)
        self._changed_at = now_s
        self.current -= 1

    def take_average(self, now_s: float) -> float:
        """Return the time-weighted average since the last call, or the current number if no time has passed."""
        self._integral_s += self.current * (now_s - self._changed_at)
        self._changed_at = now_s
        elapsed_s = now_s - self._read_at
        average = self._integral_s / elapsed_s if elapsed_s > 0 else float(self.current)
        self._integral_s = 0.0
        self._read_at = now_s
        return average
