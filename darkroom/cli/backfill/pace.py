"""When the next job may begin: at most so many per second, and at most so many at a time, fewer while others wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

_DELAYED_S = 0.05
_BACK_OFF = 0.5


@dataclass
class Spacing:
    """Spaces jobs evenly; a pause is not made up for."""

    per_s: float
    clock: Callable[[], float] = monotonic
    _next_at: float = 0.0

    def wait_s(self) -> float:
        return max(0.0, self._next_at - self.clock())

    def begin(self) -> None:
        self._next_at = max(self._next_at, self.clock()) + 1 / self.per_s


@dataclass
class Yielding:
    """Bounds the jobs at a time by how long they wait before a function takes them.

    What waits in a lane is shared with everybody. Jobs that wait longer than the shortest wait seen are a sign that
    others want the same functions, so the bound is halved; else it grows by one per round. This is the principle of
    LEDBAT (RFC 6817): a background transfer uses what is left, and learns from delay, before anybody loses anything.
    """

    at_once: int
    _allowed: float = field(init=False, default=1.0)
    _base_s: float | None = field(init=False, default=None)
    _since_back_off: int = field(init=False, default=0)

    @property
    def allowed(self) -> int:
        return max(1, min(self.at_once, int(self._allowed)))

    def ended(self, queued_s: float) -> None:
        """Take note of a job that waited so long."""
        self._base_s = queued_s if self._base_s is None else min(self._base_s, queued_s)
        self._since_back_off += 1
        if queued_s <= 2 * self._base_s + _DELAYED_S:
            self._allowed = min(float(self.at_once), self._allowed + 1 / self._allowed)
        elif self._since_back_off > self.allowed:
            # The others of this round began before the bound was halved, and say nothing new.
            self._allowed = max(1.0, self._allowed * _BACK_OFF)
            self._since_back_off = 0
