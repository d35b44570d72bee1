"""Knative's autoscaler, the KPA, as pure functions of the time, the metrics and the state.

`load` measures, `windows` averages the measurements, `kpa` decides, `loop` says when. `arithmetic` shows a decision's
computation in words, and `reasons` names what caused it. Waiting and starting instances happen elsewhere.
"""

from darkroom.local.revisions.autoscaler.arithmetic import arithmetic_of
from darkroom.local.revisions.autoscaler.kpa import TICK_S, Decision, Metrics, ScalerState, decide
from darkroom.local.revisions.autoscaler.load import LoadIntegral
from darkroom.local.revisions.autoscaler.loop import SAMPLE_S, Decided, ScalingLoop, without_grace
from darkroom.local.revisions.autoscaler.reasons import Code, Reason, explain, reason_at_start
from darkroom.local.revisions.autoscaler.windows import ConcurrencyWindow, panic_window_s

__all__ = [
    "SAMPLE_S",
    "TICK_S",
    "Code",
    "ConcurrencyWindow",
    "Decided",
    "Decision",
    "LoadIntegral",
    "Metrics",
    "Reason",
    "ScalerState",
    "ScalingLoop",
    "arithmetic_of",
    "decide",
    "explain",
    "panic_window_s",
    "reason_at_start",
    "without_grace",
]
