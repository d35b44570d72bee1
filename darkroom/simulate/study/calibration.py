"""Lays a simulated run over a recorded one: the difference per tick and per percentile.

Both are sampled at the recorded run's own ticks. The tolerances are those that the simulator promises: instances within
one in 95 % of the ticks, percentiles within 15 % or 100 ms.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from statistics import fmean

from darkroom.simulate.model import Scenario
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.result import Result
from darkroom.simulate.study.outcome import Path

INSTANCES_WITHIN = 1
TICKS_WITHIN = 0.95
PERCENTILE_RATIO, PERCENTILE_S = 0.15, 0.1
_PERCENTILES = (50, 95, 99)
PROMISED = (50, 95)
_AFTER_S = 1.0


@dataclass(frozen=True, kw_only=True)
class TickError:
    at_s: float
    real: int
    simulated: int

    @property
    def difference(self) -> int:
        return self.simulated - self.real


@dataclass(frozen=True, kw_only=True)
class PercentileError:
    percent: int
    real_s: float
    simulated_s: float

    @property
    def difference_s(self) -> float:
        return self.simulated_s - self.real_s

    @property
    def ratio(self) -> float:
        return self.difference_s / self.real_s if self.real_s else 0.0

    @property
    def is_within(self) -> bool:
        return abs(self.difference_s) <= max(PERCENTILE_S, PERCENTILE_RATIO * self.real_s)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    ticks: tuple[TickError, ...]
    percentiles: tuple[PercentileError, ...]
    pod_seconds: tuple[float, float]
    """Ready instances, summed over the ticks: real and simulated."""
    starts: tuple[int, int]

    @property
    def ticks_within(self) -> float:
        """Return the share of the ticks in which the instances differ by at most one."""
        return fmean(abs(tick.difference) <= INSTANCES_WITHIN for tick in self.ticks)

    @property
    def is_within(self) -> bool:
        promised = [each for each in self.percentiles if each.percent in PROMISED]
        return self.ticks_within >= TICKS_WITHIN and all(each.is_within for each in promised)


def as_recorded(scenario: Scenario, recording: Recording) -> Scenario:
    """Return the scenario with the arrivals of a recorded run, which begin as far into a second of the autoscaler's
    clock as they did.
    """
    traffic, shift_s = recording.traffic(), shift_of(recording)
    times_s = array("d", (at_s + shift_s for at_s in traffic.arrivals_s))
    arrivals = tuple(replace(each, times_s=times_s, sizes=traffic.relative_sizes) for each in scenario.arrivals)
    return replace(scenario, arrivals=arrivals, duration_s=traffic.seconds + shift_s + _AFTER_S)


def shift_of(recording: Recording) -> float:
    """Return how much later everything is in the simulation of `as_recorded`, in seconds."""
    return recording.clock_s % 1.0


def calibrate(recording: Recording, result: Result, path: Path) -> Calibration:
    """Compare a recorded run with the simulation of `as_recorded`, over the ticks from the first arrival on."""
    shift_s = shift_of(recording)
    service = result.services[path.service]
    series = service.series
    real = [(at_s, ready) for at_s, ready, _ in recording.ticks if 0 <= at_s <= result.duration_s - shift_s]
    ticks = tuple(
        TickError(at_s=at_s, real=ready, simulated=_at(series.times_s, series.ready, at_s + shift_s))
        for at_s, ready in real
    )
    took_s = sorted(took for took in recording.took_s if took is not None)
    latencies = result.latencies[path.name]
    return Calibration(
        ticks=ticks,
        percentiles=tuple(
            PercentileError(
                percent=percent, real_s=percentile(took_s, percent), simulated_s=latencies.percentile(percent)
            )
            for percent in _PERCENTILES
        ),
        pod_seconds=(_area([(tick.at_s, tick.real) for tick in ticks]), _area([(t.at_s, t.simulated) for t in ticks])),
        starts=(len(recording.starts), service.starts),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of values in order; 0 of none."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def _at(times_s: Sequence[float], values: Sequence[int], at_s: float) -> int:
    return values[max(0, bisect_right(times_s, at_s) - 1)]


def _area(points: Sequence[tuple[float, int]]) -> float:
    return sum(value * (later - at) for (at, value), (later, _) in pairwise(points))
