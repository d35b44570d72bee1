"""Rates in memory, for tests: the Lua script's algorithm in Python, on a clock that the test controls."""

from __future__ import annotations

import time
from collections.abc import Callable

from darkroom.contract.rates import Rate, RateDecision


class MemoryRateLimiter:
    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Start empty. `clock` returns seconds."""
        self._clock = clock
        self._paid_until_s: dict[str, float] = {}

    async def ask(self, bucket: str, rate: Rate) -> RateDecision:
        now_s = self._clock()
        paid_until_s = max(self._paid_until_s.get(bucket, now_s), now_s)
        after_s = paid_until_s + rate.interval_s
        too_early_s = after_s - rate.period_s - now_s
        if too_early_s > 1e-9:
            return RateDecision(admitted=False, remaining=0, reset_s=paid_until_s - now_s, retry_after_s=too_early_s)
        self._paid_until_s[bucket] = after_s
        left_s = rate.period_s - (after_s - now_s)
        return RateDecision(admitted=True, remaining=int(left_s / rate.interval_s + 1e-6), reset_s=after_s - now_s)

    async def close(self) -> None:
        """Nothing to close."""
