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

    async def ask(self, bucket: str, rate: Rate, *, cost: int = 1, counts: bool = True) -> RateDecision:
        now_s = self._clock()
        paid_until_s = max(self._paid_until_s.get(bucket, now_s), now_s)
        after_s = paid_until_s + rate.interval_s * cost
        too_early_s = after_s - rate.period_s - now_s
        is_admitted = too_early_s <= 1e-9
        if is_admitted and counts:
            self._paid_until_s[bucket] = paid_until_s = after_s
        left_s = rate.period_s - (paid_until_s - now_s)
        return RateDecision(
            admitted=is_admitted,
            remaining=max(0, int(left_s / rate.interval_s + 1e-6)),
            reset_s=paid_until_s - now_s,
            retry_after_s=0.0 if is_admitted else too_early_s,
        )

    async def close(self) -> None:
        """Nothing to close."""
