"""Computes the delay before a dead process is restarted: longer each time, until one stays up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class Backoff:
    """Delays from 0.1 s, doubling up to 5 s; reset once a process was up for `reset_after_s`."""

    initial_s: float = 0.1
    maximum_s: float = 5.0
    reset_after_s: float = 30.0
    failures: int = 0

    def next_delay_s(self, *, uptime_s: float) -> float:
        """Count the death of a process that was up for `uptime_s`, and return the delay before the next start."""
        if uptime_s >= self.reset_after_s:
            self.failures = 0
        delay_s = min(self.initial_s * 2.0**self.failures, self.maximum_s)
        self.failures += 1
        return delay_s

    def reset(self) -> None:
        self.failures = 0
