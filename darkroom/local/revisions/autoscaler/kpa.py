"""Computes how many instances there should be, with the arithmetic of Knative's pod autoscaler, step by step.

In Knative, pkg/autoscaler/scaling/autoscaler.go decides the number, and pkg/reconciler/autoscaling/kpa/scaler.go when
it may be zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from darkroom.manifests.revision import ScalingConfig

TICK_S = 2.0
"""The interval between decisions, and the unit of the delay window."""

_MIN_TARGET = 0.01


@dataclass(frozen=True, kw_only=True)
class Metrics:
    stable: float
    """Average requests in flight over the stable window, of all instances together."""
    panic: float
    """The same over the panic window."""
    ready: int
    """Instances that are ready."""


@dataclass(frozen=True, kw_only=True)
class ScalerState:
    """The state that one decision passes to the next."""

    panic_since_s: float | None = None
    """When the panic threshold was last reached, while panicking."""
    max_panic: int = 0
    """The largest number wanted since the panic began."""
    recent: tuple[tuple[int, int], ...] = ()
    """The delay window: the largest number wanted in each tick."""
    active_since_s: float | None = None
    inactive_since_s: float | None = None
    """Since when no instance is wanted and scaling to zero may begin. If neither is set, the revision is at zero."""

    @classmethod
    def at_start(cls, *, ready: int, now_s: float) -> ScalerState:
        """Return the initial state. With more than one ready instance, the autoscaler begins in panic mode, which keeps
        them until the windows have filled."""
        return cls(
            panic_since_s=now_s if ready > 1 else None,
            max_panic=ready if ready > 1 else 0,
            active_since_s=now_s if ready > 0 else None,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    desired: int
    unbounded: int
    """The computed number, before min-scale, max-scale and scaling to zero are applied."""
    panicking: bool


def decide(
    config: ScalingConfig, state: ScalerState, metrics: Metrics, now_s: float, *, reachable: bool = True
) -> tuple[Decision, ScalerState]:
    """Decide the number of instances. A revision that was replaced is not `reachable` and may scale to zero at once."""
    needed = needed_instances(config, metrics, reachable=reachable)
    state = _update_panic(state, config, needed.is_over_threshold, now_s)
    wanted, state = _keep_maximum_while_panicking(state, needed.stable, needed.panic)
    wanted, state = _delay_scale_down(state, config, wanted, now_s, reachable)
    bounded = within_bounds(config, wanted, reachable=reachable)
    desired, state = _scale_to_zero(state, config, bounded, metrics.ready, now_s)
    return Decision(desired=desired, unbounded=wanted, panicking=state.panic_since_s is not None), state


def target_value(config: ScalingConfig) -> float:
    """Return the requests in flight per instance that the autoscaler aims for."""
    return max(_MIN_TARGET, config.target * config.target_utilization)


@dataclass(frozen=True, kw_only=True)
class Needed:
    """The instances that the load of each window needs."""

    target: float
    """Requests in flight per instance."""
    by_stable: int
    by_panic: int
    stable: int
    """Within the scale rates and `activation-scale`; likewise `panic`."""
    panic: int
    is_over_threshold: bool
    """Whether the panic threshold is reached."""


def needed_instances(config: ScalingConfig, metrics: Metrics, *, reachable: bool = True) -> Needed:
    """Compute how many instances the load needs, before panic mode, delay and bounds are applied."""
    ready, target = max(1, metrics.ready), target_value(config)
    most = math.ceil(config.max_scale_up_rate * ready)
    least = math.floor(ready / config.max_scale_down_rate) if reachable else 0
    by_stable = math.ceil(metrics.stable / target)
    by_panic = math.ceil(metrics.panic / target)
    return Needed(
        target=target,
        by_stable=by_stable,
        by_panic=by_panic,
        stable=_with_activation_scale(config, by_stable, min(max(by_stable, least), most)),
        panic=_with_activation_scale(config, by_panic, min(max(by_panic, least), most)),
        is_over_threshold=by_panic / ready >= config.panic_threshold_percentage / 100,
    )


def _with_activation_scale(config: ScalingConfig, needed: int, wanted: int) -> int:
    """Return at least `activation-scale` if any instance is needed."""
    if config.activation_scale > 1 and needed > 0:
        return max(wanted, config.activation_scale)
    return wanted


def _update_panic(state: ScalerState, config: ScalingConfig, over_threshold: bool, now_s: float) -> ScalerState:
    if over_threshold:
        return replace(state, panic_since_s=now_s)
    if state.panic_since_s is not None and state.panic_since_s + config.window_s < now_s:
        return replace(state, panic_since_s=None, max_panic=0)
    return state


def _keep_maximum_while_panicking(state: ScalerState, stable: int, panic: int) -> tuple[int, ScalerState]:
    """Never scale down in panic mode."""
    if state.panic_since_s is None:
        return stable, state
    most = max(state.max_panic, stable, panic)
    return most, replace(state, max_panic=most)


def _delay_scale_down(
    state: ScalerState, config: ScalingConfig, wanted: int, now_s: float, reachable: bool
) -> tuple[int, ScalerState]:
    """Return the largest number wanted within `scale-down-delay`."""
    if not reachable or config.scale_down_delay_s <= 0:
        return wanted, replace(state, recent=())
    tick = math.floor(now_s / TICK_S)
    oldest = tick - math.ceil(config.scale_down_delay_s / TICK_S) + 1
    ticks = {at: most for at, most in state.recent if at >= oldest}
    ticks[tick] = max(wanted, ticks.get(tick, 0))
    return max(ticks.values()), replace(state, recent=tuple(sorted(ticks.items())))


def within_bounds(config: ScalingConfig, wanted: int, *, reachable: bool = True) -> int:
    """Apply `min-scale` and `max-scale`."""
    least = config.min_scale if reachable else 0
    most = config.max_scale or max(wanted, least)
    return min(max(wanted, least), most)


def _scale_to_zero(
    state: ScalerState, config: ScalingConfig, wanted: int, ready: int, now_s: float
) -> tuple[int, ScalerState]:
    """Allow zero only after the revision was active for the stable window, and after the grace or retention period."""
    if wanted > 0:
        active_since_s = now_s if state.active_since_s is None else state.active_since_s
        return wanted, replace(state, active_since_s=active_since_s, inactive_since_s=None)
    if state.active_since_s is not None and now_s - state.active_since_s < config.window_s:
        return 1, state
    if state.active_since_s is not None:
        state = replace(state, active_since_s=None, inactive_since_s=now_s)
    if state.inactive_since_s is None:
        return 0, state
    if now_s - state.inactive_since_s < max(config.scale_to_zero_grace_s, config.retention_s):
        return max(1, ready), state
    return 0, replace(state, inactive_since_s=None)
