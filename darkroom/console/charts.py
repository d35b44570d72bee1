"""Charts over time for the pages: series, shaded spans, and a clock on the horizontal axis. On `darkroom.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from markupsafe import Markup

from darkroom.charts import Chart, Colour, Mark, Plot

__all__ = ["Spans", "time_chart"]


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


def time_chart(
    title: str,
    marks: Sequence[Mark],
    *,
    from_at: float,
    to_at: float,
    width: int = 720,
    height: int = 200,
    whole: bool = False,
) -> Markup:
    """Return a chart with its legend. Times of the marks are in seconds before `to_at`, so negative.

    `from_at` and `to_at` are in seconds since the epoch.
    """
    chart = Chart(
        title=title,
        marks=list(marks),
        from_x=from_at - to_at,
        to_x=0,
        width=width,
        height=height,
        whole=whole,
        place_text=lambda place: clock_of(to_at + place),
    )
    return Markup(chart.legend() + chart.svg())  # noqa: S704 - written by our own code, which escapes what it is given


def clock_of(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
