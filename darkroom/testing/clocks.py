"""The clocks by which redeliveries wait: none of the backoff (`skip`), a test's own (`manual`), or all of it (`real`).

Only the backoff between deliveries follows them. Timeouts of a delivery are real in each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, Protocol

ClockName = Literal["skip", "manual", "real"]
CLOCKS: tuple[ClockName, ...] = ("skip", "manual", "real")


class Clock(Protocol):
    async def wait(self, trigger: str, delay_s: float) -> float:
        """Wait as long as this clock does; returns the seconds that are left for NATS to wait."""

    def held(self, trigger: str) -> int:
        """Return the number of a Trigger's deliveries that this clock holds back."""

    def release(self) -> None:
        """Hold nothing back any more, because the Broker closes."""


class SkippingClock:
    """Redelivers at once. What was asked for is recorded elsewhere."""

    async def wait(self, trigger: str, delay_s: float) -> float:
        return 0.0

    def held(self, trigger: str) -> int:
        return 0

    def release(self) -> None:
        return None


class RealClock(SkippingClock):
    """Leaves the whole wait to NATS."""

    async def wait(self, trigger: str, delay_s: float) -> float:
        return delay_s


@dataclass(kw_only=True)
class _Waiting:
    trigger: str
    due_s: float
    released: asyncio.Event = field(default_factory=asyncio.Event)


class ManualClock:
    """Stands still until a test advances it. It is used in the runtime's loop only."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._waiting: list[_Waiting] = []
        self._closed = False

    async def wait(self, trigger: str, delay_s: float) -> float:
        waiting = _Waiting(trigger=trigger, due_s=self._now_s + delay_s)
        if delay_s > 0 and not self._closed:
            self._waiting.append(waiting)
            await waiting.released.wait()
        return 0.0

    def held(self, trigger: str) -> int:
        return Counter(each.trigger for each in self._waiting)[trigger]

    def advance(self, seconds: float) -> None:
        self._now_s += seconds
        self._release([each for each in self._waiting if each.due_s <= self._now_s + 1e-9])

    def release(self) -> None:
        self._closed = True
        self._release(list(self._waiting))

    def _release(self, due: list[_Waiting]) -> None:
        for each in sorted(due, key=lambda waiting: waiting.due_s):
            self._waiting.remove(each)
            each.released.set()


def clock_of(name: ClockName) -> Clock:
    match name:
        case "skip":
            return SkippingClock()
        case "manual":
            return ManualClock()
        case "real":
            return RealClock()
