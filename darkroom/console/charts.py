"""Charts over time for the pages: series, shaded spans, and a clock on the horizontal axis. On `darkroom.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from darkroom.charts import Chart, Colour, Mark, Plot

__all__ = ["Spans", "TimeAxis", "time_chart"]

_MINUTES_FROM_S = 240.0


@dataclass(frozen=True, kw_only=True)
class Spans(Mark):
    """Parts of the horizontal axis, shaded from top to bottom."""

    spans: Sequence[tuple[float, float]]
    """From and to. What lies outside of the chart is cut off."""
    colour: Colour
    title: str = ""

    def drawn(self, plot: Plot) -> str:
        return "".join(
            self._span(plot, begin, end) for begin, end in self.spans if end >= plot.from_x <= plot.to_x >= begin
        )

    def _span(self, plot: Plot, begin: float, end: float) -> str:
        left, right = plot.x(max(begin, plot.from_x)), plot.x(min(end, plot.to_x))
        height = plot.floor_y - plot.top_y
        title = f"<title>{escape(self.title)}</title>" if self.title else ""
        return (
            f'<rect class="span c-{self.colour}" x="{left:.1f}" y="{plot.top_y}" width="{max(1.0, right - left):.1f}" '
            f'height="{height:.1f}">{title}</rect>'
        )

    def key(self) -> str:
        return f'<rect class="span c-{self.colour}" x="0" width="22" height="10"/>'


@dataclass(frozen=True, kw_only=True)
class TimeAxis:
    """A horizontal axis that ends now. Places are negative: seconds, or minutes of a longer time."""

    begin: float
    end: float
    """Both in seconds since the epoch."""

    @property
    def unit_s(self) -> float:
        return 60.0 if self.end - self.begin >= _MINUTES_FROM_S else 1.0

    def place(self, at: float) -> float:
        """Return the place of a time in seconds since the epoch."""
        return (at - self.end) / self.unit_s

    def text(self, place: float) -> str:
        if place == 0:
            return "now"
        return f"−{-place:g} {'min' if self.unit_s == 60 else 's'}"


def time_chart(
    title: str, marks: Sequence[Mark], axis: TimeAxis, *, width: int = 720, height: int = 200, whole: bool = False
) -> Markup:
    """Return a chart with its legend. The marks' places are those of the axis."""
    chart = Chart(
        title=title,
        marks=list(marks),
        from_x=axis.place(axis.begin),
        to_x=0,
        width=width,
        height=height,
        left=40,
        whole=whole,
        place_text=axis.text,
    )
    return Markup(chart.legend() + chart.svg())  # noqa: S704 - written by our own code, which escapes what it is given
