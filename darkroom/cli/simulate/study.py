"""What one call of the command has computed: everything that the page, the JSON and the terminal show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from darkroom.cli.simulate.pod_prices import PodPrices
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.study.calibration import Calibration
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Answer, Path
from darkroom.simulate.study.search import Found
from darkroom.simulate.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class Against:
    """A real run, and how well the simulation of the same arrivals fits it."""

    recording: Recording
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class Study:
    traffic: Traffic
    path: Path
    objective: Objective
    prices: PodPrices
    answers: Sequence[Answer]
    """One per setting; of a search, the best and the next cheaper one."""
    platform: str
    seed: int
    remarks: Sequence[str] = ()
    """Where the times come from, and what was assumed."""
    found: Found | None = None
    patch: str | None = None
    against: Against | None = field(default=None)

    @property
    def runs(self) -> int:
        return len(self.answers[0].results)

    @property
    def end_s(self) -> float:
        return self.answers[0].scenario.duration_s
