"""`python -m tests.monitoring.picture --prometheus URL --to FOLDER`: each dashboard as a page, with Prometheus' data.

To look at the dashboards without a Grafana: the same panels on the same places, the same queries, legends, units and
limits. Grafana's looks are not the point; whether the queries answer their panel's question is.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Mapping
from html import escape
from itertools import cycle
from math import isfinite
from pathlib import Path

from darkroom.charts import SERIES, STYLE, Chart, Limit, Line, Mark, Points
from tests.monitoring.prometheus import Prometheus
from tools.monitoring.dashboards import DASHBOARDS, Dashboard
from tools.monitoring.dashboards.panels import COLUMNS, Panel, PanelKind, Unit
from tools.monitoring.promql import RATE_INTERVAL

_STYLE = f"""\
:root{{color-scheme:light dark}}
body{{margin:0 auto;padding:16px 24px;max-width:1500px;font:14px/1.4 system-ui,sans-serif}}
h2{{font-size:16px;margin:20px 0 6px}}h3{{font-size:13px;margin:0 0 4px}}
.row{{display:grid;grid-template-columns:repeat({COLUMNS},1fr);gap:12px}}
.panel{{border:1px solid #8884;padding:8px 10px;min-width:0;overflow:hidden}}
.number{{font-size:24px}}.missing{{opacity:.6}}.chart-legend{{font-size:11px;margin:4px 0 0}}
"""
_PX_A_COLUMN = 52
_PX_A_ROW = 24
_LABEL = re.compile(r"\{\{(\w+)\}\}")
_LONGEST_LEGEND = 12
_STEPS = 200


def draw(dashboard: Dashboard, prometheus: Prometheus, file: Path, *, last_s: float, rate_over: str) -> None:
    """Write the dashboard's page with the data of the last `last_s` seconds."""
    drawing = _Drawing(prometheus, last_s=last_s, rate_over=rate_over)
    rows = "".join(
        f'<h2>{escape(row.title)}</h2><div class="row">{"".join(map(drawing.panel, row.panels))}</div>'
        for row in dashboard.rows
    )
    title = escape(dashboard.title)
    file.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}{_STYLE}</style></head><body><h1>{title}</h1>{rows}</body></html>\n"
    )


class _Drawing:
    def __init__(self, prometheus: Prometheus, *, last_s: float, rate_over: str) -> None:
        self._prometheus = prometheus
        self._last_s = last_s
        self._rate_over = rate_over

    def panel(self, panel: Panel) -> str:
        drawing = {PanelKind.GRAPH: self._graph, PanelKind.NUMBER: self._numbers, PanelKind.TABLE: self._table}
        inside = drawing[panel.kind](panel)
        head = f'<h3 title="{escape(panel.description)}">{escape(panel.title)}</h3>'
        return f'<div class="panel" style="grid-column:span {panel.width}">{head}{inside or _missing("no data")}</div>'

    def _graph(self, panel: Panel) -> str:
        lines = list(self._stacked(panel) if panel.stacked else self._lines(panel))
        if not lines:
            return ""
        limits = [Limit(label="", value=value) for value in (panel.bad_above, panel.bad_below) if value is not None]
        marks: list[Mark] = [*lines, *limits]
        chart = Chart(
            title=panel.title,
            marks=marks,
            from_x=-self._last_s / 60,
            to_x=0,
            shown=[] if panel.at_most is None else [panel.at_most],
            width=panel.width * _PX_A_COLUMN,
            height=panel.height * _PX_A_ROW,
            place_text="{:g} min".format,
            value_text=lambda value: _value(value, panel.unit),
        )
        return chart.svg() + chart.legend()

    def _lines(self, panel: Panel) -> Iterator[Line]:
        # Where colours begin anew, lines are dashed.
        looks = cycle([(colour, dashed) for dashed in (False, True) for colour in SERIES])
        for (number, (name, points)), (colour, dashed) in zip(enumerate(self._series(panel)), looks, strict=False):
            yield Line(points=points, colour=colour, dashed=dashed, name=name if number < _LONGEST_LEGEND else "")

    def _stacked(self, panel: Panel) -> Iterator[Line]:
        floor: dict[float, float] = {}
        for line in self._lines(panel):
            below = [(x, floor.get(x, 0.0)) for x, _ in line.points]
            top = [(x, floor.get(x, 0.0) + (value if isfinite(value) else 0.0)) for x, value in line.points]
            floor |= dict(top)
            yield Line(points=top, above=below, colour=line.colour, dashed=line.dashed, name=line.name, filled=True)

    def _series(self, panel: Panel) -> Iterator[tuple[str, Points]]:
        now = time.time()
        for query in panel.queries:
            expression = query.expression.replace(RATE_INTERVAL, self._rate_over)
            step_s = max(self._last_s / _STEPS, 1)
            for series in self._prometheus.range(expression, last_s=self._last_s, step_s=step_s):
                points = [((float(at) - now) / 60, float(value)) for at, value in series["values"]]
                yield _legend(query.legend, series["metric"]), points

    def _numbers(self, panel: Panel) -> str:
        found = [
            f"{_legend(query.legend, series['metric'])} {_value(float(series['value'][1]), panel.unit)}".strip()
            for query in panel.queries
            for series in self._prometheus.value(query.expression.replace(RATE_INTERVAL, self._rate_over))
        ]
        return "".join(f'<div class="number">{escape(text)}</div>' for text in found)

    def _table(self, panel: Panel) -> str:
        rows = [series["metric"] for query in panel.queries for series in self._prometheus.value(query.expression)]
        texts = [f"{row.get('alertname')} ({row.get('severity')})" for row in rows]
        return "".join(f"<div>{escape(text)}</div>" for text in texts) or _missing("none")


def _missing(text: str) -> str:
    return f'<div class="missing">{text}</div>'


def _value(number: float, unit: Unit) -> str:
    match unit:
        case Unit.SHARE:
            return f"{number * 100:.4g} %"
        case Unit.YES_OR_NO:
            return "yes" if number else "no"
        case Unit.SECONDS:
            return f"{number:.3g} s"
        case Unit.BYTES | Unit.BYTES_PER_S:
            text = f"{number / 1e6:.4g} MB" if number >= 1e6 else f"{number / 1e3:.4g} kB"
            return text + ("/s" if unit is Unit.BYTES_PER_S else "")
        case Unit.PER_S:
            return f"{number:.4g}/s"
        case _:
            return f"{number:.6g}"


def _legend(template: str, labels: Mapping[str, str]) -> str:
    if not template:
        return ", ".join(value for name, value in labels.items() if name != "__name__")
    return _LABEL.sub(lambda found: labels.get(found[1], ""), template)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prometheus", required=True, help="its address, http://HOST:PORT")
    parser.add_argument("--to", type=Path, required=True, help="folder for the pages")
    parser.add_argument("--last", type=float, default=900, help="seconds to look back (%(default)g)")
    parser.add_argument("--rate-over", default="1m", help="what $__rate_interval is (%(default)s)")
    arguments = parser.parse_args()
    prometheus = Prometheus(url=arguments.prometheus)
    arguments.to.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        file = arguments.to / f"{dashboard.uid}.html"
        draw(dashboard, prometheus, file, last_s=arguments.last, rate_over=arguments.rate_over)


if __name__ == "__main__":
    main()
