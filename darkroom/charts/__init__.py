"""Charts as SVG for pages and files: marks on a time or value axis, and horizontal bars. Pure: numbers in, text out.

Each chart has a title and a description with its figures, for those who do not see it. Colours are CSS variables
(`STYLE`), light or dark as the reader's system is; a page may set its own. There are no scripts.

Why it is ours: the load report needs steps, columns, dots, limits and moments on one axis. Of the kept libraries that
write SVG without a browser, pygal draws one kind of mark per chart, has no steps and puts a script into each; leather
has neither limits nor variables for colours; matplotlib brings numpy and text as outlines; Vega's converter is a wheel
of 33 MB.
"""

from __future__ import annotations

from darkroom.charts.bars import Bar, BarGroup, bar_chart
from darkroom.charts.chart import Chart
from darkroom.charts.marks import Columns, Dots, Limit, Line, Mark, Moments, Points, histogram
from darkroom.charts.plot import Plot, round_step
from darkroom.charts.style import SERIES, STYLE, Colour
from darkroom.charts.svg import standalone
from darkroom.charts.waterfall import Span, waterfall

__all__ = [
    "SERIES",
    "STYLE",
    "Bar",
    "BarGroup",
    "Chart",
    "Colour",
    "Columns",
    "Dots",
    "Limit",
    "Line",
    "Mark",
    "Moments",
    "Plot",
    "Points",
    "Span",
    "bar_chart",
    "histogram",
    "round_step",
    "standalone",
    "waterfall",
]
