"""When the autoscaler samples and decides: the load every second, the number of instances every two, and both at once
when a request comes to a revision at zero.

Time and measurements are passed in: the runtime's scaler goes by this machine's clock, the simulator by its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from darkroom.local.revisions.autoscaler.kpa import TICK_S, Decision, Metrics, ScalerState, decide
from darkroom.local.revisions.autoscaler.reasons import Reason, explain, reason_at_start
from darkroom.local.revisions.autoscaler.windows import ConcurrencyWindow, panic_window_s
from darkroom.manifests.revision import ScalingConfig

SAMPLE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision with everything that it was made of."""

    config: ScalingConfig
    before: ScalerState
    metrics: Metrics
    decision: Decision
    after: ScalerState
    was: int
    """The number of instances wanted until then."""
    poked: bool
    """Made at once, for a request at zero."""
    initial: int = 0
    """The instances that a new revision must have had ready before fewer are wanted; 0 once it had them."""

    @property
    def reason(self) -> Reason:
        if self.decision.desired == self.initial > self.decision.unbounded:
            return reason_at_start(self.initial)
        return explain(self.config, self.before, self.metrics, self.decision, self.after, poked=self.poked)


class ScalingLoop:
    """The autoscaler of one revision."""

    def __init__(self, config: ScalingConfig, now_s: float, *, wanted: int, state: ScalerState | None = None) -> None:
        """`wanted` is the number of instances that the revision begins with, and wants until so many were ready."""
        self._state = ScalerState.at_start(ready=0, now_s=now_s) if state is None else state
        self._windows_for(config)
        self._next_sample_s = self._next_decision_s = now_s
        self.wanted = wanted
        self._initial = wanted

    @property
    def due_s(self) -> float:
        """Return when `advance` is to be called again."""
        return min(self._next_sample_s, self._next_decision_s)

    @property
    def is_settled_at_zero(self) -> bool:
        """Report whether every further decision is zero until a request comes."""
        state = self._state
        return self.wanted == 0 and state.active_since_s is None and state.inactive_since_s is None

    def advance(
        self,
        config: ScalingConfig,
        now_s: float,
        take_average: Callable[[float], float],
        ready: Callable[[], int],
        *,
        poked: bool = False,
    ) -> Decided | None:
        """Do what is due. Returns the decision if one was made.

        `poked`: a request waits, and no instance is ready; it makes a difference only to a revision at zero, whose
        activator then reports {1, 1}, and whose autoscaler decides at once.
        """
        poked = poked and not self.wanted
        if now_s >= self._next_sample_s or poked:
            self._sample(now_s, take_average(now_s), poked)
            self._next_sample_s = now_s + SAMPLE_S
        if now_s < self._next_decision_s and not poked:
            return None
        self._next_decision_s = now_s + TICK_S
        return self._decide(config, now_s, ready(), poked)

    def skip_idle(self, now_s: float) -> None:
        """Make up for samples that were skipped because nothing was in flight; `now_s` is the time of the next one.

        The windows are left as if each second had been sampled.
        """
        size = max(self._stable.size, self._panic.size)
        missed = max(0, ceil(now_s - self._next_sample_s))
        for number in range(max(0, missed - size), missed):
            self._sample(self._next_sample_s + number * SAMPLE_S, 0.0, poked=False)
        self._next_sample_s += missed * SAMPLE_S

    def _windows_for(self, config: ScalingConfig) -> None:
        self._window_s = config.window_s
        self._stable = ConcurrencyWindow(config.window_s)
        self._panic = ConcurrencyWindow(panic_window_s(config))

    def _sample(self, now_s: float, concurrency: float, poked: bool) -> None:
        if poked:
            concurrency = max(1.0, concurrency)
        self._stable.record(now_s, concurrency)
        self._panic.record(now_s, concurrency)

    def _decide(self, config: ScalingConfig, now_s: float, ready: int, poked: bool) -> Decided:
        if config.window_s != self._window_s:
            self._windows_for(config)
        metrics = Metrics(stable=self._stable.average(now_s), panic=self._panic.average(now_s), ready=ready)
        before, was = self._state, self.wanted
        if ready >= self._initial:
            self._initial = 0
        if self._initial > config.min_scale:
            config = replace(config, min_scale=self._initial)
        decision, self._state = decide(config, before, metrics, now_s)
        self.wanted = decision.desired
        return Decided(
            config=config,
            before=before,
            metrics=metrics,
            decision=decision,
            after=self._state,
            was=was,
            poked=poked,
            initial=self._initial,
        )


def without_grace(config: ScalingConfig) -> ScalingConfig:
    """Return the settings where the activator is always in the path: on a cluster, the grace period lets the network
    switch to it."""
    return replace(config, scale_to_zero_grace_s=0.0)
