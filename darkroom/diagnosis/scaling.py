"""A decision of the autoscaler in words, with its arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from darkroom.diagnosis.words import counted


def decision_in_words(decision: Mapping[str, Any]) -> str:
    """Explain the last decision about a revision.

    `decision` has `desired`, `unbounded`, `panicking`, `ready`, the averages `stable` and `panic` in requests in
    flight, `target` in requests in flight per instance, `window_s`, `panic_window_s`, `min_scale` and `max_scale`.
    """
    return f"{_asked(decision)}{_bounded(decision)}"


def _asked(decision: Mapping[str, Any]) -> str:
    if decision["panicking"]:
        return (
            f"panic: {_average(decision, 'panic', 'panic_window_s')}, with {decision['ready']} ready; nothing is taken "
            f"away before {decision['window_s']:g} s without a panic"
        )
    return _average(decision, "stable", "window_s")


def _average(decision: Mapping[str, Any], name: str, window: str) -> str:
    average, target = float(decision[name]), float(decision["target"])
    asks_for = math.ceil(average / target)
    return (
        f"concurrency {average:.3g} over {decision[window]:g} s at a target of {target:.3g} asks for "
        f"{counted(asks_for, 'instance')}"
    )


def _bounded(decision: Mapping[str, Any]) -> str:
    desired, unbounded = int(decision["desired"]), int(decision["unbounded"])
    if decision["max_scale"] and unbounded > desired == decision["max_scale"]:
        return f"; max-scale allows {desired}"
    if unbounded < desired == decision["min_scale"]:
        return f"; min-scale keeps {desired}"
    if unbounded == 0 and desired > 0:
        return f"; it keeps {desired} until it has been idle for {decision['window_s']:g} s"
    if not decision["panicking"] and unbounded > math.ceil(float(decision["stable"]) / float(decision["target"])):
        return f"; it keeps {unbounded} for now, because it goes down step by step"
    return ""
