"""The colours of charts, and the style sheet that makes them light or dark."""

from __future__ import annotations

from enum import StrEnum


class Colour(StrEnum):
    BLUE = "blue"
    GREEN = "green"
    ORANGE = "orange"
    PURPLE = "purple"
    RED = "red"
    TEAL = "teal"
    INK = "ink"
    GREY = "grey"


SERIES = (Colour.BLUE, Colour.GREEN, Colour.ORANGE, Colour.PURPLE, Colour.RED, Colour.TEAL)
"""For series of which none means more than another."""

LOOKS = """\
:root{--chart-blue:#2f6fde;--chart-green:#1f9468;--chart-orange:#c9741a;--chart-purple:#9a5bd0;--chart-red:#c2335c;
--chart-teal:#3c8592;--chart-ink:#1c2330;--chart-grey:#8b939f;--chart-soft:#5d6675;--chart-rule:#dfe3ea;
--chart-limit:#b3261e;--chart-paper:#ffffff}
@media (prefers-color-scheme:dark){:root{--chart-blue:#6ea2ff;--chart-green:#4fd19d;--chart-orange:#f2ab50;
--chart-purple:#c195ee;--chart-red:#f07596;--chart-teal:#7cc4d1;--chart-ink:#e7eaf0;--chart-grey:#7f8896;
--chart-soft:#9aa4b5;--chart-rule:#2c3340;--chart-limit:#ff8a80;--chart-paper:#10141b}}
.chart{font:12px system-ui,sans-serif}
.chart text{fill:var(--chart-soft)}.chart .head{fill:var(--chart-ink);font-size:13px;font-weight:600}
.chart .label{fill:var(--chart-ink);font-size:13px}
.chart .on-bar{fill:var(--chart-paper);font-weight:600}
.chart .grid{stroke:var(--chart-rule)}
.chart .line{fill:none;stroke:var(--c);stroke-width:1.8}.chart .dashed{stroke-dasharray:5 4}
.chart .area{fill:var(--c);fill-opacity:.3}.chart .solid{fill:var(--c)}.chart .dot{fill:var(--c);fill-opacity:.6}
.chart .limit{stroke:var(--chart-limit);stroke-width:1.4;stroke-dasharray:2 3}
.chart text.limit{fill:var(--chart-limit);stroke:none}
.chart-legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 20px;margin:0 0 6px;padding:0;
color:var(--chart-soft);font-size:13.5px}
.chart-legend svg{width:22px;height:10px;margin-right:7px}
.chart-legend .line{fill:none;stroke:var(--c);stroke-width:2.4}.chart-legend .dashed{stroke-dasharray:5 4}
.chart-legend .area,.chart-legend .solid,.chart-legend .dot{fill:var(--c)}.chart-legend .area{fill-opacity:.5}
""" + "".join(f".c-{colour}{{--c:var(--chart-{colour})}}" for colour in Colour)

STYLE = LOOKS + ".chart{display:block;width:100%;height:auto}"
"""For a page that has charts and legends in it."""
