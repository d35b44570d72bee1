"""How many events per second each Trigger and Subscription delivers: counts, sampled every second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping

from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.dispatch import Dispatcher

EVERY_S = 1.0
OVER_S = 10
"""The rate is an average over so many seconds."""


class FlowRates:
    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._samples: deque[tuple[float, Mapping[Dispatcher, Counter[str]]]] = deque(maxlen=OVER_S + 1)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample(time.monotonic())
            await asyncio.sleep(EVERY_S)

    def sample(self, now_s: float) -> None:
        self._samples.append((now_s, {each: Counter(each.counts) for each in self._brokers.all_dispatchers}))

    def per_second(self, dispatcher: Dispatcher, count: str, now_s: float) -> float:
        """Return the average rate of one of a dispatcher's counts."""
        began_s, counts = self._samples[0] if self._samples else (now_s, {})
        before = counts.get(dispatcher)
        if before is None or now_s <= began_s:
            return 0.0
        return (dispatcher.counts[count] - before[count]) / (now_s - began_s)
