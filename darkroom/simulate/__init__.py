"""Simulates traffic through the autoscaler, the activator and the Brokers, without running anything.

Pure: a Scenario in, a Result out; no I/O, no wall clock, and the same seed gives the same Result. The decisions are the
runtime's own: `darkroom.local.revisions.autoscaler` and `queueing`, `darkroom.local.eventing.delivery` and `filters`.
docs/simulator.md describes what is modelled.

- `model`: Services, flows and arrivals, and `manifests`, which makes their skeleton from YAML.
- `distributions`: service times and cold starts.
- `engine`: `run`; `repeat`: several runs, with confidence intervals; `encode`: the Result as JSON.
- `result`: series, counts, latencies and reasons.
- `window`: the interface for an application's own bound on events.
"""

from darkroom.simulate.distributions import CLUSTER_COLD_START, ColdStart, Distribution
from darkroom.simulate.encode import as_object, encode
from darkroom.simulate.engine import run
from darkroom.simulate.errors import ScenarioError
from darkroom.simulate.manifests import from_manifests
from darkroom.simulate.model import (
    CLUSTER,
    LOCAL,
    Arrivals,
    Begin,
    Event,
    Flow,
    Platform,
    Scenario,
    ServiceModel,
    Target,
)
from darkroom.simulate.repeat import Estimate, estimate, figures, repeat
from darkroom.simulate.result import Bend, FlowResult, Latencies, Result, ServiceResult, ServiceSeries
from darkroom.simulate.window import OpenWindow, Window, Windowing

__all__ = [
    "CLUSTER",
    "CLUSTER_COLD_START",
    "LOCAL",
    "Arrivals",
    "Begin",
    "Bend",
    "ColdStart",
    "Distribution",
    "Estimate",
    "Event",
    "Flow",
    "FlowResult",
    "Latencies",
    "OpenWindow",
    "Platform",
    "Result",
    "Scenario",
    "ScenarioError",
    "ServiceModel",
    "ServiceResult",
    "ServiceSeries",
    "Target",
    "Window",
    "Windowing",
    "as_object",
    "encode",
    "estimate",
    "figures",
    "from_manifests",
    "repeat",
    "run",
]
