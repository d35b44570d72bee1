"""Repeats a simulation with several seeds, and says how certain its figures are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev

from darkroom.simulate.engine import run
from darkroom.simulate.model import Scenario
from darkroom.simulate.result import Result

CONFIDENCE = 0.95
_STUDENT_T: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""Quantiles of Student's t distribution for a two-sided interval of 95 %, by the degrees of freedom from 1."""

Measure = Callable[[Result], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure's mean over several runs, and the interval in which its true mean is with a confidence of 95 %."""

    mean: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} ({self.low:.4g} to {self.high:.4g})"


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean. A single value has an interval without width, because nothing is known about its spread."""
    mean, runs = fmean(values), len(values)
    half = 0.0 if runs < 2 else _t(runs - 1) * stdev(values) / sqrt(runs)
    return Estimate(mean=mean, low=mean - half, high=mean + half, runs=runs)


def repeat(scenario_of: Callable[[int], Scenario], seeds: Iterable[int], measure: Measure) -> Mapping[str, Estimate]:
    """Run a Scenario for each seed, and estimate each figure that `measure` takes from the Results.

    `scenario_of` may draw the arrivals anew for each seed. A figure that some runs lack is estimated from the others.
    """
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for name, value in measure(run(scenario_of(seed))).items():
            values.setdefault(name, []).append(value)
    return {name: estimate(found) for name, found in values.items()}


def figures(result: Result) -> Mapping[str, float]:
    """Return the figures that runs are compared by: pod seconds, latencies in seconds, and what went wrong."""
    found = {"pod_seconds": result.pod_seconds}
    for name, service in result.services.items():
        found[f"{name} pod_seconds"] = service.pod_seconds
        found[f"{name} refused"] = float(service.refused + service.timed_out)
        found[f"{name} cold_requests"] = float(service.cold_requests)
        found[f"{name} longest_queue"] = float(service.longest_queue)
    for name, flow in result.flows.items():
        found[f"{name} retried"] = float(flow.retried)
        found[f"{name} dead_lettered"] = float(flow.dead_lettered)
        found[f"{name} lost"] = float(flow.lost)
    for path, latencies in result.latencies.items():
        for percent in (50, 95, 99):
            found[f"{path} p{percent}_s"] = latencies.percentile(percent)
    return found


def _t(degrees: int) -> float:
    if degrees <= len(_STUDENT_T):
        return _STUDENT_T[degrees - 1]
    # The first terms of its expansion around the normal distribution (Abramowitz and Stegun, 26.7.5).
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    return z + (z**3 + z) / (4 * degrees)
