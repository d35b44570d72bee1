"""Knative's autoscaler, the KPA, as pure functions: the clock, the metrics and the state are handed in.

`windows` averages what was measured, `kpa` decides. Measuring, waiting two seconds and starting instances are others'.
"""

from darkroom.local.revisions.autoscaler.kpa import TICK_S, Decision, Metrics, ScalerState, decide
from darkroom.local.revisions.autoscaler.windows import ConcurrencyWindow, panic_window_s

__all__ = ["TICK_S", "ConcurrencyWindow", "Decision", "Metrics", "ScalerState", "decide", "panic_window_s"]
