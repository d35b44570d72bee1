"""Charts as inline SVG over one common time axis. Colours are the page's CSS variables; nothing here knows of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH = 1000
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 8, 24

Points = Sequence[tuple[float, float]]
"""Seconds after the run's beginning, and a value."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """A drawing area with the run's seconds from left to right."""

    from_s: float
    to_s: float
    most: float
    """The largest value that is drawn."""
    height: int = 190
    whole: bool = False
    """Whether only whole numbers can occur."""
    labelled: bool = True
    """Whether the seconds are written below."""

    @property
    def top_value(self) -> float:
        """The end of the vertical axis: the first of its steps that is not below what is drawn."""
        return max(self.step, ceil(self.most / self.step - 1e-9) * self.step)

    @property
    def step(self) -> float:
        wanted = 4 if self.height >= 120 else 2
        return round_step(max(self.most / wanted, 1.0 if self.whole else 1e-6))

    @property
    def floor_y(self) -> float:
        return self.height - (_BOTTOM if self.labelled else 4)

    def x(self, seconds: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (seconds - self.from_s) / (self.to_s - self.from_s)

    def y(self, value: float) -> float:
        return self.floor_y - (self.floor_y - _TOP) * min(value, self.top_value) / self.top_value

    def drawn(self, *marks: str, title: str) -> str:
        """The chart with these marks; the title is what a screen reader says."""
        inside = "".join([*self._value_lines(), *self._second_lines(), *marks])
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(title)}">'
            f"<title>{escape(title)}</title>{inside}</svg>"
        )

    def _value_lines(self) -> Iterable[str]:
        for number in range(round(self.top_value / self.step) + 1):
            y = self.y(number * self.step)
            yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number * self.step:g}</text>'

    def _second_lines(self) -> Iterable[str]:
        step = round_step((self.to_s - self.from_s) / 10)
        for number in range(ceil(self.from_s / step), floor(self.to_s / step) + 1):
            x = self.x(number * step)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{self.floor_y:.1f}"/>'
            if self.labelled:
                label = f"{number * step:g} s"
                yield f'<text class="tick" x="{x:.1f}" y="{self.height - 6}" text-anchor="middle">{label}</text>'


def round_step(least: float) -> float:
    """The first of 1, 2, 5, 10, 20, ... that is not below this."""
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


# --- marks -----------------------------------------------------------------------------------------------------------


def line(axes: Axes, points: Points, colour: str, *, dashed: bool = False) -> str:
    return _path(_straight(axes, points), f"line {'dashed ' if dashed else ''}{colour}") if points else ""


def steps(axes: Axes, points: Points, colour: str, *, dashed: bool = False) -> str:
    """Each value holds until the next."""
    return _path(_stepped(axes, points), f"line {'dashed ' if dashed else ''}{colour}") if points else ""


def filled_steps(axes: Axes, points: Points, colour: str) -> str:
    if not points:
        return ""
    return _path(f"{_stepped(axes, points)}V{axes.floor_y:.1f}H{axes.x(points[0][0]):.1f}Z", f"area {colour}")


def columns(axes: Axes, points: Points, colour: str, *, width_s: float, place: int, of: int) -> str:
    """One column for each span of time, `of` of them side by side."""
    whole = axes.x(width_s) - axes.x(0)
    width = whole * 0.86 / of
    drawn = []
    for at_s, value in points:
        if value:
            x, y = axes.x(at_s) + whole * 0.07 + place * width, axes.y(value)
            drawn.append(
                f'<rect class="column {colour}" x="{x:.1f}" y="{y:.1f}" width="{max(0.5, width - 0.6):.1f}" '
                f'height="{axes.floor_y - y:.1f}"/>'
            )
    return "".join(drawn)


def dots(axes: Axes, points: Points, colour: str) -> str:
    circles = (f'<circle class="dot {colour}" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2.2"/>' for x, y in points)
    return "".join(circles)


def limit(axes: Axes, value: float, label: str) -> str:
    """A line across, when it is within what is shown."""
    if value > axes.top_value:
        return ""
    y = axes.y(value)
    return (
        f'<line class="limit" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="limit" x="{WIDTH - _RIGHT - 4}" y="{y - 5:.1f}" text-anchor="end">{escape(label)}</text>'
    )


def ticks(axes: Axes, moments: Iterable[tuple[float, str]]) -> str:
    """A mark at the floor for each moment, with what it was."""
    return "".join(
        f'<path class="event" d="M{axes.x(at_s):.1f} {axes.floor_y - 11:.1f}l5 10h-10z"><title>{escape(what)}</title>'
        "</path>"
        for at_s, what in moments
    )


def _path(d: str, classes: str) -> str:
    return f'<path class="{classes}" d="{d}"/>'


def _straight(axes: Axes, points: Points) -> str:
    return "M" + "L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in points)


def _stepped(axes: Axes, points: Points) -> str:
    (first_x, first_y), *rest = points
    turns = "".join(f"H{axes.x(x):.1f}V{axes.y(y):.1f}" for x, y in rest)
    return f"M{axes.x(first_x):.1f} {axes.y(first_y):.1f}{turns}"
