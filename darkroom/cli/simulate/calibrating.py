"""Simulates a recorded run several times from its project's manifests, and sums up how well that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from darkroom.cli.simulate.deployment import find_entrance, make_base, read_manifests
from darkroom.simulate import LOCAL, from_manifests
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.study.calibration import (
    PERCENTILE_RATIO,
    PERCENTILE_S,
    PROMISED,
    TICKS_WITHIN,
    Calibration,
    as_recorded,
    calibrate,
)
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import answer
from darkroom.simulate.study.settings import AS_IS

_ANY = Objective(share=0.99, within_s=10.0)


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A real run and its simulations with several seeds."""

    each: tuple[Calibration, ...]

    @property
    def ticks_within(self) -> float:
        """Return the share of ticks with at most one instance of difference, on average over the seeds."""
        return fmean(one.ticks_within for one in self.each)

    @property
    def worst_ticks(self) -> float:
        return min(one.ticks_within for one in self.each)

    def real_s(self, percent: int) -> float:
        return next(one.real_s for one in self.each[0].percentiles if one.percent == percent)

    def simulated_s(self, percent: int) -> float:
        """Return the median of the seeds."""
        return median(one.simulated_s for each in self.each for one in each.percentiles if one.percent == percent)

    @property
    def starts(self) -> tuple[int, float]:
        return self.each[0].starts[0], median(one.starts[1] for one in self.each)

    def is_percentile_within(self, percent: int) -> bool:
        real_s = self.real_s(percent)
        return abs(self.simulated_s(percent) - real_s) <= max(PERCENTILE_S, PERCENTILE_RATIO * real_s)

    @property
    def is_within(self) -> bool:
        return self.ticks_within >= TICKS_WITHIN and all(self.is_percentile_within(percent) for percent in PROMISED)

    def shown(self, percent: int) -> str:
        mark = "" if self.is_percentile_within(percent) else " (!)"
        return f"{self.real_s(percent):.2f}, {self.simulated_s(percent):.2f} s{mark}"

    def line(self) -> str:
        percentiles = "; ".join(f"p{percent} {self.shown(percent)}" for percent in (50, 95, 99))
        return (
            f"ticks within one instance {self.ticks_within:.1%} (worst seed {self.worst_ticks:.1%}); {percentiles}; "
            f"starts {self.starts[0]}, {self.starts[1]:g}; {'holds' if self.is_within else 'DOES NOT HOLD'}"
        )


def calibrated(project: Path, recording: Recording, seeds: Sequence[int]) -> Calibrated:
    """Simulate the recorded arrivals on the local runtime, knowing besides only what was measured before the run."""
    deployed = read_manifests([project / "knative"])
    entrance = find_entrance(from_manifests(deployed.manifests, duration_s=1.0), recording.service)
    base = make_base(
        deployed,
        entrance,
        recording.traffic(),
        times={recording.service: recording.observed()},
        platform=LOCAL,
        cores=None,
    )
    path = entrance.path(len(recording.arrivals_s))
    found = answer(AS_IS, as_recorded(base.apply(AS_IS), recording), path=path, objective=_ANY, seeds=seeds)
    return Calibrated(each=tuple(calibrate(recording, result, path) for result in found.results))
