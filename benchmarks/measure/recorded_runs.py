"""The runs that the simulator is compared with: their arrivals and service times from a seed, and their files."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from darkroom.arrivals import Stage, evenly_s, on_off
from darkroom.simulate.observed.recording import Recording, format_recording
from darkroom.simulate.traffic.model import traffic_of_rates

SETTINGS: Mapping[str, str] = {"max-scale": "8", "window": "12s"}
CONCURRENCY = 2
MAX_ACK_PENDING = 64
ASLEEP_S = (0.2, 0.6)
"""The service times are drawn evenly from between these."""
CAPACITY_PER_S = 8 * CONCURRENCY / (sum(ASLEEP_S) / 2)
"""Of all instances that max-scale allows: 40 requests per second."""
WINDOW_S = 12.0


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    name: str
    meaning: str
    arrivals_s: Sequence[float]

    def service_s(self, seed: int = 7) -> list[float]:
        draw = Random(f"{self.name} {seed}")
        return [draw.uniform(*ASLEEP_S) for _ in self.arrivals_s]

    def shortened(self, share: float) -> PlannedRun:
        """Return the first part of it."""
        until_s = self.arrivals_s[-1] * share
        arrivals = [at for at in self.arrivals_s if at <= until_s]
        return PlannedRun(name=self.name, meaning=self.meaning, arrivals_s=arrivals)


def _steady(share: float, seconds: float) -> Sequence[float]:
    """Return Poisson arrivals that keep this share of the whole capacity busy."""
    rate = share * CAPACITY_PER_S
    return traffic_of_rates([(0.0, rate), (seconds / 2, rate)], source="steady", seed=3).arrivals_s


RUNS: Mapping[str, PlannedRun] = {
    run.name: run
    for run in (
        PlannedRun(
            name="burst",
            meaning="from zero: 200 within 8 s, then nothing",
            arrivals_s=evenly_s([Stage(seconds=8, per_s=25)]),
        ),
        PlannedRun(
            name="ramp",
            meaning="from 1 to 25 a second in 40 s",
            arrivals_s=evenly_s([Stage(seconds=40, per_s=1, to_per_s=25)]),
        ),
        PlannedRun(
            name="spike",
            meaning="4 a second, 40 a second for 5 s, then 4 again",
            arrivals_s=evenly_s([Stage(seconds=15, per_s=4), Stage(seconds=5, per_s=40), Stage(seconds=20, per_s=4)]),
        ),
        PlannedRun(
            name="steady-30", meaning="30 % of the capacity for 60 s, Poisson arrivals", arrivals_s=_steady(0.3, 60)
        ),
        PlannedRun(
            name="steady-80", meaning="80 % of the capacity for 60 s, Poisson arrivals", arrivals_s=_steady(0.8, 60)
        ),
        PlannedRun(
            name="on-off",
            meaning="10 s of 6 a second and 13 s of silence, four times: just beyond the window of 12 s",
            arrivals_s=evenly_s(on_off(on_s=10, off_s=WINDOW_S + 1, per_s=6, times=4)),
        ),
    )
}


def write_recording(recording: Recording, folder: Path) -> Path:
    """Write a run as NAME.json.gz: the same bytes for the same run."""
    file = folder / f"{recording.name}.json.gz"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(format_recording(recording).encode(), mtime=0))
    return file
