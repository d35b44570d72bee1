"""The objective of a run: which share of the pictures must be done within which time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.contract.metrics import OBJECTIVE_RATIO, OBJECTIVE_WITHIN_S
from loadtests.errors import ObjectiveError

_TEXT = re.compile(r"(?P<percent>\d+(\.\d+)?)\s*% within (?P<seconds>\d+(\.\d+)?)\s*s", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Objective:
    ratio: float = OBJECTIVE_RATIO
    within_s: float = OBJECTIVE_WITHIN_S

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Parse `99.5% within 10s`. Raises ObjectiveError."""
        match = _TEXT.fullmatch(text.strip())
        if match is None or float(match["percent"]) > 100:
            raise ObjectiveError(f'an objective reads like "{Objective()}", not {text!r}')
        return cls(ratio=float(match["percent"]) / 100, within_s=float(match["seconds"]))

    def __str__(self) -> str:
        return f"{self.ratio * 100:.6g}% within {self.within_s:g}s"

    def evaluate(self, times_s: Sequence[float], *, asked: int) -> ObjectiveResult:
        """Evaluate the times of the completed jobs, in seconds; a picture without one counts as not done."""
        return ObjectiveResult(objective=self, asked=asked, good=sum(time_s <= self.within_s for time_s in times_s))


@dataclass(frozen=True, kw_only=True)
class ObjectiveResult:
    objective: Objective
    asked: int
    """Pictures that visitors submitted, accepted or not."""
    good: int

    @property
    def ratio(self) -> float:
        return self.good / self.asked if self.asked else 0.0

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.objective.ratio
