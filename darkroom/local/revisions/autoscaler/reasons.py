"""Names what caused a decision of the autoscaler: a code with its numbers, and a sentence.

The runtime's events, reports and the simulator show these. Every step of a decision's computation is in `arithmetic`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from darkroom.local.revisions.autoscaler.kpa import Decision, Metrics, ScalerState, needed_instances, within_bounds
from darkroom.manifests.revision import ScalingConfig


class Code(StrEnum):
    START = "start"
    FIRST_REQUEST = "first-request"
    STABLE = "stable"
    PANIC_BEGINS = "panic-begins"
    PANIC = "panic"
    PANIC_HOLDS = "panic-holds"
    PANIC_ENDS = "panic-ends"
    UP_RATE = "max-scale-up-rate"
    DOWN_RATE = "max-scale-down-rate"
    ACTIVATION_SCALE = "activation-scale"
    DELAY = "scale-down-delay"
    MAX_SCALE = "max-scale"
    MIN_SCALE = "min-scale"
    KEPT_FOR_WINDOW = "kept-for-window"
    KEPT_FOR_GRACE = "kept-for-grace"
    ZERO = "zero"
    AT_ZERO = "at-zero"


@dataclass(frozen=True, kw_only=True)
class Reason:
    code: Code
    numbers: Mapping[str, float]
    """What the sentence is made of: averages, target, thresholds."""

    @property
    def sentence(self) -> str:
        return _SENTENCES[self.code](self.numbers)

    def as_dict(self) -> dict[str, Any]:
        return {"code": str(self.code), "numbers": dict(self.numbers), "sentence": self.sentence}


def reason_at_start(wanted: int) -> Reason:
    """Return the reason for the instances that a new revision begins with."""
    return Reason(code=Code.START, numbers={"wanted": wanted})


def explain(
    config: ScalingConfig,
    before: ScalerState,
    metrics: Metrics,
    decision: Decision,
    after: ScalerState,
    *,
    poked: bool = False,
) -> Reason:
    """Explain a decision of `decide`, given the state that it was made in and the one that it led to.

    Of several causes, it is the one that acted last, since without it the number would be another one.
    """
    needed = needed_instances(config, metrics)
    numbers = {
        "wanted": decision.desired,
        "unbounded": decision.unbounded,
        "ready": metrics.ready,
        "stable": metrics.stable,
        "panic": metrics.panic,
        "needed_by_stable": needed.by_stable,
        "needed_by_panic": needed.by_panic,
        "target": needed.target,
        "total": config.target,
        "utilization": config.target_utilization,
        "threshold_percent": config.panic_threshold_percentage,
        "panic_window_s": config.window_s * config.panic_window_percentage / 100,
        "window_s": config.window_s,
        "min_scale": config.min_scale,
        "max_scale": config.max_scale,
        "activation_scale": config.activation_scale,
        "scale_down_delay_s": config.scale_down_delay_s,
        "up_rate": config.max_scale_up_rate,
        "down_rate": config.max_scale_down_rate,
        "grace_s": max(config.scale_to_zero_grace_s, config.retention_s),
        "max_panic": after.max_panic,
    }
    return Reason(code=_code(config, before, decision, after, metrics, poked=poked), numbers=numbers)


def _code(
    config: ScalingConfig,
    before: ScalerState,
    decision: Decision,
    after: ScalerState,
    metrics: Metrics,
    *,
    poked: bool,
) -> Code:
    bounded = within_bounds(config, decision.unbounded)
    if bounded == 0:
        return _code_at_zero(before, decision, after)
    if poked:
        return Code.FIRST_REQUEST
    if bounded < decision.unbounded:
        return Code.MAX_SCALE
    if bounded > decision.unbounded:
        return Code.MIN_SCALE
    return _code_of_load(config, before, decision, after, metrics)


def _code_at_zero(before: ScalerState, decision: Decision, after: ScalerState) -> Code:
    if decision.desired > 0:
        return Code.KEPT_FOR_WINDOW if after.active_since_s is not None else Code.KEPT_FOR_GRACE
    was_up = before.active_since_s is not None or before.inactive_since_s is not None
    return Code.ZERO if was_up else Code.AT_ZERO


def _code_of_load(
    config: ScalingConfig, before: ScalerState, decision: Decision, after: ScalerState, metrics: Metrics
) -> Code:
    needed = needed_instances(config, metrics)
    before_delay = after.max_panic if decision.panicking else needed.stable
    if decision.unbounded > before_delay:
        return Code.DELAY
    if decision.panicking:
        return _code_in_panic(before, needed.stable, needed.panic, after)
    if before.panic_since_s is not None:
        return Code.PANIC_ENDS
    if needed.stable == needed.by_stable:
        return Code.STABLE
    if needed.stable < needed.by_stable:
        return Code.UP_RATE
    is_activation = config.activation_scale > 1 and needed.by_stable > 0
    return Code.ACTIVATION_SCALE if is_activation and needed.stable == config.activation_scale else Code.DOWN_RATE


def _code_in_panic(before: ScalerState, stable: int, panic: int, after: ScalerState) -> Code:
    if before.panic_since_s is None:
        return Code.PANIC_BEGINS
    if after.max_panic > max(stable, panic):
        return Code.PANIC_HOLDS
    return Code.PANIC


# --- the words -------------------------------------------------------------------------------------------------------


def _target(n: Mapping[str, float]) -> str:
    return f"{n['target']:g} in flight per instance ({n['total']:g} at {n['utilization'] * 100:g} %)"


def _panic_window(n: Mapping[str, float]) -> str:
    return f"{n['panic']:.1f} requests in flight over the panic window of {max(1.0, n['panic_window_s']):g} s"


def _stable_window(n: Mapping[str, float]) -> str:
    return f"{n['stable']:.1f} requests in flight over the stable window of {n['window_s']:g} s"


def _instances(count: float) -> str:
    return f"{count:g} instance" if count == 1 else f"{count:g} instances"


def _threshold(n: Mapping[str, float]) -> str:
    ready = max(1, n["ready"])
    share = n["needed_by_panic"] / ready * 100
    return (
        f"the {_panic_window(n)} need {_instances(n['needed_by_panic'])} at a target of {_target(n)}: "
        f"{share:.0f} % of the {ready:g} ready, and panic begins at {n['threshold_percent']:g} %"
    )


_SENTENCES: Mapping[Code, Callable[[Mapping[str, float]], str]] = {
    Code.START: lambda n: f"a new revision begins with {_instances(n['wanted'])}",
    Code.FIRST_REQUEST: lambda n: (
        f"a request came while the revision was at zero, so the autoscaler decided at once: {_instances(n['wanted'])}"
    ),
    Code.STABLE: lambda n: f"{_stable_window(n)} need {_instances(n['wanted'])} at a target of {_target(n)}",
    Code.PANIC_BEGINS: lambda n: (
        f"panic begins: {_threshold(n)}. Nothing is scaled down until {n['window_s']:g} s after it was last "
        f"reached; wanted are {_instances(n['wanted'])}"
    ),
    Code.PANIC: lambda n: f"in panic, {_panic_window(n)} need {_instances(n['wanted'])} at a target of {_target(n)}",
    Code.PANIC_HOLDS: lambda n: (
        f"in panic nothing is scaled down: {_instances(n['max_panic'])}, the most since it began, though now "
        f"{n['stable']:.1f} requests in flight need {n['needed_by_stable']:g}"
    ),
    Code.PANIC_ENDS: lambda n: (
        f"panic is over, {n['window_s']:g} s after its threshold was last reached; {_stable_window(n)} need "
        f"{_instances(n['wanted'])}"
    ),
    Code.UP_RATE: lambda n: (
        f"{_stable_window(n)} need {_instances(n['needed_by_stable'])}; at most {n['up_rate']:g} times the "
        f"{max(1, n['ready']):g} ready are wanted at once"
    ),
    Code.DOWN_RATE: lambda n: (
        f"{_stable_window(n)} need {_instances(n['needed_by_stable'])}; one decision gives back no more than all but "
        f"1/{n['down_rate']:g} of the {n['ready']:g} ready"
    ),
    Code.ACTIVATION_SCALE: lambda n: (
        f"activation-scale is {n['activation_scale']:g}: a revision with any load has that many, though "
        f"{_instances(n['needed_by_stable'])} would do"
    ),
    Code.DELAY: lambda n: (
        f"scale-down-delay keeps {n['unbounded']:g}, the most wanted within {n['scale_down_delay_s']:g} s; now "
        f"{n['stable']:.1f} requests in flight need {_instances(n['needed_by_stable'])}"
    ),
    Code.MAX_SCALE: lambda n: (
        f"max-scale allows {n['max_scale']:g}; the load needs {n['unbounded']:g} at a target of {_target(n)}, and what "
        "has no room waits"
    ),
    Code.MIN_SCALE: lambda n: f"min-scale keeps {n['min_scale']:g}; the load needs {n['unbounded']:g}",
    Code.KEPT_FOR_WINDOW: lambda n: (
        "nothing is in flight, but a revision that has become active stays so for the stable window of "
        f"{n['window_s']:g} s"
    ),
    Code.KEPT_FOR_GRACE: lambda n: (
        f"nothing was in flight for the stable window of {n['window_s']:g} s; the last instances are kept for "
        f"{n['grace_s']:g} s more (scale-to-zero grace or retention period)"
    ),
    Code.ZERO: lambda n: f"nothing was in flight for the stable window of {n['window_s']:g} s: scaled to zero",
    Code.AT_ZERO: lambda n: "nothing is in flight, and the revision is at zero",
}
