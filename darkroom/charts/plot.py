"""Which pixel stands for which place and value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10


@dataclass(frozen=True, kw_only=True)
class Plot:
    """The drawing area, with its axes."""

    from_x: float
    to_x: float
    least: float
    most: float
    """The values that are drawn lie between these two."""
    width: int
    height: int
    left: int
    whole: bool = False
    labelled: bool = True

    @cached_property
    def step(self) -> float:
        wanted = 4 if self.height >= 120 else 2
        # Where all is zero, the axis goes up to something.
        span = self.most - self.least or 1.0
        return round_step(max(span / wanted, 1.0 if self.whole else 0.0))

    @cached_property
    def bottom_value(self) -> float:
        return floor(self.least / self.step + 1e-9) * self.step

    @cached_property
    def top_value(self) -> float:
        """The end of the vertical axis: the first of its steps that is not below what is drawn."""
        return max(self.bottom_value + self.step, ceil(self.most / self.step - 1e-9) * self.step)

    @property
    def top_y(self) -> float:
        return 8

    @property
    def floor_y(self) -> float:
        return self.height - (24 if self.labelled else 4)

    @property
    def right(self) -> float:
        return self.width - 22

    def x(self, place: float) -> float:
        return self.left + (self.right - self.left) * (place - self.from_x) / (self.to_x - self.from_x)

    def y(self, value: float) -> float:
        share = (value - self.bottom_value) / (self.top_value - self.bottom_value)
        return self.floor_y - (self.floor_y - self.top_y) * min(max(share, 0.0), 1.0)


def round_step(least: float) -> float:
    """The first of 1, 2, 5, 10, 20, ... that is not below this, also among fractions."""
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
