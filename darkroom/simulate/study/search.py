"""Finds the cheapest setting that holds an objective: first every combination of a grid, then its neighbourhood.

The cost of a setting has no slope that one could follow: it jumps where an instance more or less is wanted. So the
grid is tried as a whole, and only then the values between the best one and its neighbours, while that helps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from darkroom.simulate.study.outcome import Answer
from darkroom.simulate.study.settings import Axis, Base, Setting, combinations

Try = Callable[[Setting], Answer]
Cost = Callable[[Answer], float]

_NUMBER = re.compile(r"(?P<number>\d+)(?P<unit>s?)", re.ASCII)
MOST_ROUNDS = 8


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search has tried, and what it recommends."""

    tried: tuple[Answer, ...]
    """By cost, the cheapest first."""
    costs: tuple[float, ...]
    """Of each, in the same order."""
    best: Answer | None
    """The cheapest that holds the objective; None: no setting does."""

    @property
    def next_cheaper(self) -> Answer | None:
        """Return the most expensive setting that is cheaper than the best; it does not hold the objective."""
        place = len(self.tried) if self.best is None else self.tried.index(self.best)
        return self.tried[place - 1] if place else None

    @property
    def frontier(self) -> tuple[tuple[float, float], ...]:
        """Return the pairs of cost and time that no other setting beats in both, the cheapest first."""
        points: list[tuple[float, float]] = []
        for answer, cost in zip(self.tried, self.costs, strict=True):
            time_s = answer.spread("at_share_s").middle
            if not points or time_s < points[-1][1]:
                points.append((cost, time_s))
        return tuple(points)


def search(axes: Sequence[Axis], base: Base, *, attempt: Try, cost: Cost) -> Found:
    """Try the grid, then the values between. Raises SettingError for a value that Serving would refuse."""
    known: dict[tuple[str, ...], Answer] = {}

    def tried(setting: Setting) -> Answer:
        key = tuple(setting.values.values())
        if key not in known:
            known[key] = attempt(setting)
        return known[key]

    for setting in base.possible(combinations(axes)):
        tried(setting)
    best = _cheapest(known.values(), cost)
    for _ in range(MOST_ROUNDS):
        if best is None:
            break
        between = list(_between(best.setting, axes, known.values()))
        near = [tried(setting) for setting in (base.possible(between) if between else ())]
        better = _cheapest([best, *near], cost)
        if better is best:
            break
        best = better
    ranked = sorted(known.values(), key=cost)
    return Found(tried=tuple(ranked), costs=tuple(cost(each) for each in ranked), best=best)


def _cheapest(answers: Iterable[Answer], cost: Cost) -> Answer | None:
    return min((each for each in answers if each.holds), key=cost, default=None)


def _between(best: Setting, axes: Sequence[Axis], tried: Iterable[Answer]) -> Iterator[Setting]:
    """Yield settings that differ from the best in one value, halfway to the next value that was tried."""
    answers = list(tried)
    for axis in axes:
        key = (axis.service, axis.name)
        mine = _parsed(best.values[key])
        others = [_parsed(each.setting.values[key]) for each in answers]
        if mine is None:
            continue
        number, unit = mine
        for other in _neighbours(number, {each[0] for each in others if each is not None}):
            middle = (number + other) // 2
            if middle not in (number, other):
                yield best.with_value(axis.service, axis.name, f"{middle}{unit}")


def _neighbours(number: int, numbers: set[int]) -> Iterator[int]:
    below, above = [n for n in numbers if n < number], [n for n in numbers if n > number]
    yield from ([max(below)] if below else [])
    yield from ([min(above)] if above else [])


def _parsed(text: str) -> tuple[int, str] | None:
    """Return a whole number and its unit, such as 10 or 30s; None for anything else."""
    match = _NUMBER.fullmatch(text)
    return None if match is None else (int(match["number"]), match["unit"])
