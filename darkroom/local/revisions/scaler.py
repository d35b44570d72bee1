"""Asks the autoscaler every two seconds how many instances a revision should have, and scales its pool.

Waiting happens here; the arithmetic, and when it is due, are in `autoscaler`. There is one Scaler per Service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from darkroom.local.reporting import Report
from darkroom.local.revisions.activator import ConcurrencyMeter
from darkroom.local.revisions.autoscaler import Decided, Decision, ScalingLoop, without_grace
from darkroom.local.revisions.decisions import DecisionLog, LoggedDecision
from darkroom.local.revisions.pool import Pool


class Scaler:
    def __init__(
        self, pool: Pool, meter: ConcurrencyMeter, report: Report, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` must be that of the event loop, which is the monotonic clock by default."""
        self._pool = pool
        self._meter = meter
        self._report = report
        self._clock = clock
        self._poked = asyncio.Event()
        self._loop = ScalingLoop(pool.revision.scaling, clock(), wanted=self._initial())
        self.decision = Decision(desired=0, unbounded=0, panicking=False)
        self.log = DecisionLog()

    def poke(self) -> None:
        """Decide at once, because a request arrived at a revision at zero. Knative's activator then reports {1, 1}."""
        self._poked.set()

    async def run(self) -> None:
        """Scale the pool until cancelled."""
        self._pool.scale_to(self._initial())
        while True:
            now_s, poked = self._clock(), self._poked.is_set()
            self._poked.clear()
            config = without_grace(self._pool.revision.scaling)
            decided = self._loop.advance(config, now_s, self._take_average, self._ready, poked=poked)
            if decided is not None:
                self._carry_out(decided)
            await self._sleep_until(self._loop.due_s)

    def _initial(self) -> int:
        """Return `min-scale`. A cluster starts `initial-scale` instances to check that the image runs."""
        return self._pool.revision.scaling.min_scale

    def _take_average(self, now_s: float) -> float:
        return self._meter.take_average()

    def _ready(self) -> int:
        return len(self._pool.ready)

    def _carry_out(self, decided: Decided) -> None:
        before, self.decision = self.decision, decided.decision
        self.log.add(
            LoggedDecision(at=time.time(), config=decided.config, metrics=decided.metrics, decision=decided.decision)
        )
        if self.decision.desired != before.desired:
            self._report(
                "instances.wanted",
                service=self._pool.revision.label,
                wanted=self.decision.desired,
                before=before.desired,
                stable=decided.metrics.stable,
                panic=decided.metrics.panic,
                panicking=self.decision.panicking,
                why=decided.reason.sentence,
            )
        self._pool.scale_to(self.decision.desired)

    async def _sleep_until(self, due_s: float) -> None:
        try:
            async with asyncio.timeout_at(due_s):
                await self._poked.wait()
        except TimeoutError:
            return
