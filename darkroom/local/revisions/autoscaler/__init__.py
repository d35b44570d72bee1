"""Knative's autoscaler, the KPA, as pure functions of the time, the metrics and the state.

`windows` averages the measurements, `kpa` decides, `wording` says why. Measuring, waiting and starting instances happen
elsewhere.
"""

from darkroom.local.revisions.autoscaler.kpa import TICK_S, Decision, Metrics, ScalerState, decide
from darkroom.local.revisions.autoscaler.windows import ConcurrencyWindow, panic_window_s
from darkroom.local.revisions.autoscaler.wording import explain

__all__ = ["TICK_S", "ConcurrencyWindow", "Decision", "Metrics", "ScalerState", "decide", "explain", "panic_window_s"]
