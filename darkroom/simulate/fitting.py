"""Fits a ColdStart to a burst that was seen: instances that started at the same time, and when each was ready."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from darkroom.simulate.distributions import ColdStart, Distribution
from darkroom.simulate.sharing import slowed_by_others

MOST_GROWTH = 10.0
_STEPS = 60


def fit_cold_start(ready_after_s: Sequence[float], alone_s: float) -> ColdStart:
    """Find how much starts slow each other down, so that one alone takes `alone_s` on average.

    `ready_after_s` has for each instance of the burst the seconds from the common start until it was ready. Raises
    ValueError if it is empty, or if even the slowest was not slower than one alone.
    """
    if not ready_after_s or max(ready_after_s) < alone_s:
        raise ValueError(f"a burst whose last instance was ready after at least {alone_s:g} s is needed")
    low, high = 0.0, MOST_GROWTH
    for _ in range(_STEPS):
        growth = (low + high) / 2
        if fmean(_work_s(ready_after_s, growth)) > alone_s:
            low = growth
        else:
            high = growth
    return ColdStart(alone=Distribution(samples=tuple(_work_s(ready_after_s, high))), growth=high)


def _work_s(ready_after_s: Sequence[float], growth: float) -> list[float]:
    """Return how long each would have taken alone."""
    speed, work_s, before_s = slowed_by_others(growth, 1), 0.0, 0.0
    found = []
    for place, ready_s in enumerate(sorted(ready_after_s)):
        work_s += (ready_s - before_s) * speed(len(ready_after_s) - place)
        before_s = ready_s
        found.append(work_s)
    return found
