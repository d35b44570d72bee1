"""What can be drawn on a chart's axes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import floor, isfinite

from darkroom.charts.plot import Plot
from darkroom.charts.style import Colour
from darkroom.charts.svg import label

_CHARACTER_WIDTH = 8
"""At least what a character of a label takes, in pixels of the drawing."""

Points = Sequence[tuple[float, float]]
"""Where on the horizontal axis, and a value. One that is no finite number is a gap."""


@dataclass(frozen=True, kw_only=True)
class Mark(ABC):
    name: str = ""
    """What the legend and the description call it; without one it is in neither."""

    @property
    def values(self) -> Iterable[float]:
        """What the vertical axis has to have room for."""
        return ()

    @abstractmethod
    def drawn(self, plot: Plot) -> str: ...

    def key(self) -> str:
        """The mark in small, for the legend: SVG within 22 x 10."""
        return ""


@dataclass(frozen=True, kw_only=True)
class Line(Mark):
    points: Points
    colour: Colour
    dashed: bool = False
    stepped: bool = False
    """Each value holds until the next."""
    filled: bool = False
    above: Points = ()
    """The lower edge of what is filled, with the same places; without it, the floor."""

    @property
    def values(self) -> Iterable[float]:
        return [value for _, value in self.points]

    def drawn(self, plot: Plot) -> str:
        if self.above:
            lower = "".join(f"L{plot.x(x):.1f} {plot.y(y):.1f}" for x, y in reversed(self.above))
            area = f'<path class="area c-{self.colour}" d="{self._path(plot, self.points)}{lower}Z"/>'
        else:
            area = "".join(self._area(plot, run) for run in _runs(self.points)) if self.filled else ""
        line = "".join(self._path(plot, run) for run in _runs(self.points))
        return f'{area}<path class="{self._classes}" d="{line}"/>' if line else ""

    def key(self) -> str:
        area = f'<path class="area c-{self.colour}" d="M0 2H22V10H0Z"/>' if self.filled else ""
        return f'{area}<path class="{self._classes}" d="M0 {2 if self.filled else 5}H22"/>'

    @property
    def _classes(self) -> str:
        return f"line {'dashed ' if self.dashed else ''}c-{self.colour}"

    def _area(self, plot: Plot, run: Points) -> str:
        edge = f"{self._path(plot, run)}V{plot.y(0):.1f}H{plot.x(run[0][0]):.1f}Z"
        return f'<path class="area c-{self.colour}" d="{edge}"/>'

    def _path(self, plot: Plot, run: Points) -> str:
        pixels = [(f"{plot.x(x):.1f}", f"{plot.y(y):.1f}") for x, y in run]
        (first_x, first_y), *rest = pixels
        between = "H{}V{}" if self.stepped else "L{} {}"
        return f"M{first_x} {first_y}" + "".join(between.format(x, y) for x, y in rest)


@dataclass(frozen=True, kw_only=True)
class Columns(Mark):
    """One column for each span of the axis; several series stand side by side."""

    points: Points
    """Where each span begins."""
    colour: Colour
    span: float
    place: int = 0
    of: int = 1

    @property
    def values(self) -> Iterable[float]:
        return [value for _, value in self.points]

    def drawn(self, plot: Plot) -> str:
        whole = plot.x(self.span) - plot.x(0)
        width = whole * 0.86 / self.of
        columns = (
            (plot.x(x) + whole * 0.07 + self.place * width, plot.y(max(value, 0)), abs(plot.y(0) - plot.y(value)))
            for x, value in self.points
            if value and isfinite(value)
        )
        rectangle = f'<rect class="solid c-{self.colour}" width="{max(0.5, width - 0.6):.1f}"'
        return "".join(f'{rectangle} x="{x:.1f}" y="{y:.1f}" height="{height:.1f}"/>' for x, y, height in columns)

    def key(self) -> str:
        return f'<rect class="solid c-{self.colour}" x="5" width="12" height="10"/>'


@dataclass(frozen=True, kw_only=True)
class Dots(Mark):
    points: Points
    colour: Colour

    @property
    def values(self) -> Iterable[float]:
        return [value for _, value in self.points]

    def drawn(self, plot: Plot) -> str:
        circle = f'<circle class="dot c-{self.colour}" r="2.2" '
        return "".join(f'{circle}cx="{plot.x(x):.1f}" cy="{plot.y(y):.1f}"/>' for x, y in self.points if isfinite(y))

    def key(self) -> str:
        return f'<circle class="dot c-{self.colour}" cx="11" cy="5" r="4"/>'


@dataclass(frozen=True, kw_only=True)
class Moments(Mark):
    """A triangle on the floor for each moment, with what it was."""

    moments: Sequence[tuple[float, str]]
    colour: Colour

    def drawn(self, plot: Plot) -> str:
        triangle = f'<path class="solid c-{self.colour}" d='
        return "".join(
            f'{triangle}"M{plot.x(x):.1f} {plot.floor_y - 11:.1f}l5 10h-10z"><title>{escape(what)}</title></path>'
            for x, what in self.moments
        )

    def key(self) -> str:
        return f'<path class="solid c-{self.colour}" d="M11 0l5 10h-10z"/>'


@dataclass(frozen=True, kw_only=True)
class Limit(Mark):
    """A line across at a value, or up at a place, when it is within what is shown."""

    label: str
    value: float | None = None
    place: float | None = None
    label_before: bool = False
    """Whether the label of a place stands before the line; it stands on the side with room for it in any case."""

    def drawn(self, plot: Plot) -> str:
        if self.value is not None and plot.bottom_value <= self.value <= plot.top_value:
            y = plot.y(self.value)
            # Above the line, or below it where there is no room above.
            text_y = y - 5 if y - 16 >= 0 else y + 14
            text = label(plot.right - 4, text_y, self.label, anchor="end", kind="limit")
            return f'<line class="limit" x1="{plot.left}" x2="{plot.right}" y1="{y:.1f}" y2="{y:.1f}"/>{text}'
        if self.place is not None and plot.from_x <= self.place <= plot.to_x:
            x = plot.x(self.place)
            return (
                f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.top_y}" y2="{plot.floor_y:.1f}"/>'
                f"{self._beside(x, plot)}"
            )
        return ""

    def _beside(self, x: float, plot: Plot) -> str:
        room = len(self.label) * _CHARACTER_WIDTH + 4
        before = x - room >= plot.left and (self.label_before or x + room > plot.width)
        if before:
            return label(x - 4, plot.top_y + 10, self.label, anchor="end", kind="limit")
        return label(x + 4, plot.top_y + 10, self.label, kind="limit")


def histogram(values: Iterable[float], *, span: float) -> list[tuple[float, float]]:
    """How many values each span from zero on has, for `Columns`."""
    counts = Counter(floor(value / span) for value in values)
    return [(number * span, float(counts[number])) for number in range(max(counts, default=-1) + 1)]


def _runs(points: Points) -> Iterator[Points]:
    """What lies between gaps."""
    for is_finite, run in groupby(points, key=lambda point: isfinite(point[1])):
        if is_finite:
            yield list(run)
