"""Puts one decision of the autoscaler into a sentence with its arithmetic. Pure.

The console's Autoscaler page and `darkroom why SERVICE` show the same sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from darkroom.local.revisions.autoscaler.kpa import Decision, Metrics, needed_instances, target_value
from darkroom.local.revisions.autoscaler.windows import panic_window_s
from darkroom.manifests.revision import ScalingConfig


def arithmetic_of(config: ScalingConfig, metrics: Metrics, decision: Decision) -> str:
    """Return a sentence such as "concurrency 7.3 over 60 s at a target of 2 asks for 4; max-scale allows 3".

    First what the deciding window asks for, then each rule that has changed the number, in the order of the arithmetic.
    """
    return "; ".join(_steps(config, metrics, decision))


def _steps(config: ScalingConfig, metrics: Metrics, decision: Decision) -> Iterator[str]:
    by_panic = decision.panicking and metrics.panic > metrics.stable
    asked = _asked(config, metrics.panic if by_panic else metrics.stable)
    yield _asks(config, metrics, by_panic=by_panic)
    needed = needed_instances(config, metrics)
    limited = needed.panic if by_panic else needed.stable
    if limited != asked:
        yield _rate(config, metrics, asked, limited)
    if decision.unbounded != limited:
        yield _kept(config, decision)
    bounded = min(max(decision.unbounded, config.min_scale), config.max_scale or math.inf)
    if bounded < decision.unbounded:
        yield f"max-scale allows {config.max_scale}"
    elif bounded > decision.unbounded:
        yield f"min-scale keeps {config.min_scale}"
    if decision.desired > bounded:
        yield _before_zero(config, decision)


def _asks(config: ScalingConfig, metrics: Metrics, *, by_panic: bool) -> str:
    concurrency, window_s = (metrics.panic, panic_window_s(config)) if by_panic else (metrics.stable, config.window_s)
    if concurrency == 0:
        return f"no request in {_number(window_s)} s asks for 0"
    return (
        f"{'panic: ' if by_panic else ''}concurrency {_number(concurrency)} over {_number(window_s)} s at a target of "
        f"{_number(target_value(config))} asks for {_asked(config, concurrency)}"
    )


def _asked(config: ScalingConfig, concurrency: float) -> int:
    return math.ceil(concurrency / target_value(config))


def _rate(config: ScalingConfig, metrics: Metrics, asked: int, limited: int) -> str:
    ready = max(1, metrics.ready)
    if limited < asked:
        return f"max-scale-up-rate {_number(config.max_scale_up_rate)} allows {limited} with {ready} ready"
    if limited == config.activation_scale:
        return f"activation-scale begins with {limited}"
    return f"max-scale-down-rate {_number(config.max_scale_down_rate)} keeps {limited} of the {ready} ready"


def _kept(config: ScalingConfig, decision: Decision) -> str:
    if decision.panicking:
        return f"panic keeps the {decision.unbounded} wanted since it began"
    return f"scale-down-delay keeps the {decision.unbounded} wanted within {_number(config.scale_down_delay_s)} s"


def _before_zero(config: ScalingConfig, decision: Decision) -> str:
    kept = f"{decision.desired} stays" if decision.desired == 1 else f"{decision.desired} stay"
    if config.retention_s:
        return (
            f"{kept} until the window and scale-to-zero-pod-retention-period {_number(config.retention_s)} s are over"
        )
    return f"{kept} until it has been active for the whole window"


def _number(value: float) -> str:
    """Return `7.3` for 7.3123, `12` for 12.0 and `0.04` for 0.0412."""
    return f"{value:.3g}" if abs(value) < 10 and value != round(value, 1) else f"{value:.1f}".removesuffix(".0")
