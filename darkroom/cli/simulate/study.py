"""What one call of the command has computed: everything that the page, the JSON and the terminal show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.cli.simulate.pod_prices import PodPrices
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.result import Result
from darkroom.simulate.study.calibration import Calibration
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Answer, Path
from darkroom.simulate.study.search import Found
from darkroom.simulate.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class Against:
    """A real run, and how well the simulation of the same arrivals fits it."""

    recording: Recording
    result: Result
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
    remarks: Sequence[str] = ()
    """Where the times come from, and what was assumed."""
    found: Found | None = None
    patch: str | None = None
    against: Against | None = None

    @property
    def runs(self) -> int:
        return len(self.answers[0].results)

    @property
    def end_s(self) -> float:
        return self.answers[0].scenario.duration_s


def search_sentence(study: Study) -> str:
    """Say what a search has found."""
    found = study.found
    if found is None:
        raise ValueError("there was no search")
    if found.best is None:
        return f"None of the {len(found.tried)} settings holds {study.objective}."
    price = f"{study.prices.per_day(found.best):,.2f} {study.prices.currency} a day"
    below = found.next_cheaper
    which = f"{len(found.tried)} settings that holds {study.objective}: {found.best.setting.label} ({price})"
    if below is None:
        return f"The cheapest of {which}."
    reached = min(each.within for each in below.figures)
    return (
        f"The cheapest of {which}. The next cheaper one, {below.setting.label}, reaches {reached:.2%} in its worst run."
    )
