"""How long a function and its starts really take, read from what a system already records.

A module per source, each a pure parser to `Observed`: the local runtime's record, OTLP, Prometheus' histograms, the
file that `darkroom measure` writes, and a run that was recorded whole. Nothing is read from files or over HTTP here.
"""

from __future__ import annotations

from darkroom.simulate.observed.model import InstanceStart, Observed, ObservedError

__all__ = ["InstanceStart", "Observed", "ObservedError"]
