"""Asks the autoscaler every two seconds how many instances a revision should have, and scales its pool.

Measuring and timing happen here; the arithmetic is in `autoscaler`. There is one Scaler per Service.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from darkroom.local.reporting import Report
from darkroom.local.revisions.activator import ConcurrencyMeter
from darkroom.local.revisions.autoscaler import (
    TICK_S,
    ConcurrencyWindow,
    Decision,
    Metrics,
    ScalerState,
    decide,
    panic_window_s,
)
from darkroom.local.revisions.decisions import Decided, DecisionLog
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import ScalingConfig

SAMPLE_S = 1.0


class Scaler:
    def __init__(self, pool: Pool, meter: ConcurrencyMeter, report: Report) -> None:
        self._pool = pool
        self._meter = meter
        self._report = report
        self._poked = asyncio.Event()
        self._windows_for(pool.revision.scaling)
        self._state = ScalerState.at_start(ready=0, now_s=time.monotonic())
        self.decision = Decision(desired=0, unbounded=0, panicking=False)
        self.log = DecisionLog()

    def poke(self) -> None:
        """Decide at once, because a request arrived at a revision at zero. Knative's activator then reports {1, 1}."""
        self._poked.set()

    async def run(self) -> None:
        """Scale the pool until cancelled."""
        self._pool.scale_to(self._initial())
        next_sample = next_decision = time.monotonic()
        while True:
            now_s = time.monotonic()
            poked = self._poked.is_set() and not self._pool.desired
            self._poked.clear()
            if now_s >= next_sample or poked:
                self._sample(now_s, poked)
                next_sample = now_s + SAMPLE_S
            if now_s >= next_decision or poked:
                self._decide(now_s)
                next_decision = now_s + TICK_S
            await self._sleep(min(next_sample, next_decision) - time.monotonic())

    def _initial(self) -> int:
        """Return `min-scale`. A cluster starts `initial-scale` instances to check that the image runs."""
        return self._pool.revision.scaling.min_scale

    def _windows_for(self, config: ScalingConfig) -> None:
        self._config = config
        self._stable = ConcurrencyWindow(config.window_s)
        self._panic = ConcurrencyWindow(panic_window_s(config))

    def _sample(self, now_s: float, poked: bool) -> None:
        concurrency = self._meter.take_average()
        if poked:
            concurrency = max(1.0, concurrency)
        self._stable.record(now_s, concurrency)
        self._panic.record(now_s, concurrency)

    def _decide(self, now_s: float) -> None:
        config = replace(self._pool.revision.scaling, scale_to_zero_grace_s=0)
        # On a cluster, the grace period lets the network switch to the activator, which here is always in the path.
        if config.window_s != self._config.window_s:
            self._windows_for(config)
        metrics = Metrics(
            stable=self._stable.average(now_s), panic=self._panic.average(now_s), ready=len(self._pool.ready)
        )
        before = self.decision
        self.decision, self._state = decide(config, self._state, metrics, now_s)
        self.log.add(Decided(at=time.time(), config=config, metrics=metrics, decision=self.decision))
        if self.decision.desired != before.desired:
            self._report(
                "instances.wanted",
                service=self._pool.revision.label,
                wanted=self.decision.desired,
                before=before.desired,
                stable=metrics.stable,
                panic=metrics.panic,
                panicking=self.decision.panicking,
            )
        self._pool.scale_to(self.decision.desired)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._poked.wait()
        except TimeoutError:
            return
