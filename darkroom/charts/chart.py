"""A chart: marks on one horizontal axis, of time as a rule, and one of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import chain
from math import ceil, floor, isfinite

from darkroom.charts.marks import Mark
from darkroom.charts.plot import Plot, round_step
from darkroom.charts.svg import label, svg


@dataclass(frozen=True, kw_only=True)
class Chart:
    title: str
    marks: Sequence[Mark]
    from_x: float
    to_x: float
    shown: Iterable[float] = ()
    """Values that there must be room for, besides those of the marks."""
    width: int = 1000
    height: int = 190
    left: int = 64
    """Room for the labels of values."""
    whole: bool = False
    """Whether only whole numbers can occur."""
    labelled: bool = True
    """Whether places are written below."""
    place_text: Callable[[float], str] = "{:g} s".format
    value_text: Callable[[float], str] = "{:g}".format

    @cached_property
    def plot(self) -> Plot:
        values = [value for value in chain(self.shown, *(mark.values for mark in self.marks)) if isfinite(value)]
        return Plot(
            from_x=self.from_x,
            to_x=self.to_x,
            least=min([0.0, *values]),
            most=max([0.0, *values]),
            width=self.width,
            height=self.height,
            left=self.left,
            whole=self.whole,
            labelled=self.labelled,
        )

    def svg(self) -> str:
        grid = [*self._value_lines(), *self._place_lines()]
        return svg(
            self.width,
            self.height,
            *grid,
            *(mark.drawn(self.plot) for mark in self.marks),
            title=self.title,
            description=self.description,
        )

    @property
    def description(self) -> str:
        """The span, and of each mark with a name its largest and last values."""
        facts = [f"From {self.place_text(self.from_x)} to {self.place_text(self.to_x)}."]
        for mark in self.marks:
            values = [value for value in mark.values if isfinite(value)]
            if mark.name and values:
                text = self.value_text
                facts.append(f"{mark.name}: at most {text(_short(max(values)))}, last {text(_short(values[-1]))}.")
        return " ".join(facts)

    def legend(self) -> str:
        """HTML: the names of the marks that have one."""
        entries = "".join(
            f'<li><svg viewBox="0 0 22 10" aria-hidden="true">{mark.key()}</svg>{escape(mark.name)}</li>'
            for mark in self.marks
            if mark.name
        )
        return f'<ul class="chart-legend">{entries}</ul>' if entries else ""

    def _value_lines(self) -> Iterator[str]:
        plot = self.plot
        for number in range(round((plot.top_value - plot.bottom_value) / plot.step) + 1):
            value = plot.bottom_value + number * plot.step
            y = plot.y(value)
            yield f'<line class="grid" x1="{plot.left}" x2="{plot.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield label(plot.left - 8, y + 4, self.value_text(_short(value)), anchor="end")

    def _place_lines(self) -> Iterator[str]:
        plot = self.plot
        step = round_step((self.to_x - self.from_x) / max(2, self.width // 100))
        for number in range(ceil(self.from_x / step - 1e-9), floor(self.to_x / step + 1e-9) + 1):
            x = plot.x(number * step)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.top_y}" y2="{plot.floor_y:.1f}"/>'
            if self.labelled:
                yield label(x, self.height - 6, self.place_text(_short(number * step)), anchor="middle")


def _short(number: float) -> float:
    """Without the noise of binary fractions."""
    return float(f"{number:.6g}")
