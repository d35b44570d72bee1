"""How certain the difference between two samples is, by resampling them (a moving block bootstrap).

Jobs of one run are not independent: those that wait in the same queue are slow together, so a resampling of single jobs
would call differences certain that are not. Blocks of neighbours keep what they have in common (H. R. Künsch, "The
jackknife and the bootstrap for general stationary observations", 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from random import Random

CONFIDENCE = 0.95
_RESAMPLES = 500
_SEED = 20261130
"""The same two runs have the same interval whenever they are compared."""

Statistic = Callable[[Sequence[float]], float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A statistic of two samples. The interval is that of the second minus the first."""

    first: float
    second: float
    low: float
    high: float

    @property
    def change(self) -> float:
        return self.second - self.first

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves no doubt about which of them is larger."""
        return self.low > 0 or self.high < 0


def difference(first: Sequence[float], second: Sequence[float], statistic: Statistic) -> Difference:
    """Compare two samples, each in the order in which its values came. Raises ValueError if one of them is empty."""
    if not first or not second:
        raise ValueError("an empty sample has no statistic")
    draw = Random(_SEED)  # noqa: S311 (statistics, not secrets)
    changes = sorted(statistic(_resample(second, draw)) - statistic(_resample(first, draw)) for _ in range(_RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    return Difference(
        first=statistic(first),
        second=statistic(second),
        low=changes[int(tail * _RESAMPLES)],
        high=changes[ceil((1 - tail) * _RESAMPLES) - 1],
    )


def _resample(values: Sequence[float], draw: Random) -> list[float]:
    """Return as many values again, as blocks that begin anywhere; the end is followed by the beginning."""
    length = max(1, round(sqrt(len(values))))
    ring = [*values, *values[:length]]
    blocks = ceil(len(values) / length)
    starts = draw.choices(range(len(values)), k=blocks)
    return [value for start in starts for value in ring[start : start + length]][: len(values)]
