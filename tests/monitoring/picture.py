"""`python -m tests.monitoring.picture --prometheus URL --to FOLDER`: each dashboard, drawn from a Prometheus' data.

To look at the dashboards without a Grafana: the same panels on the same places, the same queries, legends, units and
limits. Grafana's looks are not the point; whether the queries answer their panel's question is.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.monitoring.prometheus import Prometheus
from tools.monitoring.dashboards import DASHBOARDS, Dashboard, grafana
from tools.monitoring.dashboards.panels import COLUMNS
from tools.monitoring.promql import RATE_INTERVAL

_INCHES_A_COLUMN = 0.8
_INCHES_A_ROW = 0.42
_LABEL = re.compile(r"\{\{(\w+)\}\}")
_LONGEST_LEGEND = 12
_HEADLINE_ROWS = 1


def draw(dashboard: Dashboard, prometheus: Prometheus, file: Path, *, last_s: float, rate_over: str) -> None:
    panels = grafana(dashboard)["panels"]
    for panel in panels:
        panel["gridPos"]["y"] += _HEADLINE_ROWS
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(COLUMNS * _INCHES_A_COLUMN, height * _INCHES_A_ROW), layout=None)
    figure.suptitle(dashboard.title, x=0.01, ha="left", y=1 - 0.1 / (height * _INCHES_A_ROW), fontsize=13)
    for panel in panels:
        _panel(figure, panel, prometheus, height, last_s, rate_over)
    figure.savefig(file, dpi=80)


def _panel(
    figure: Figure, panel: dict[str, Any], prometheus: Prometheus, rows: int, last_s: float, rate_over: str
) -> None:
    place = panel["gridPos"]
    left, width = place["x"] / COLUMNS, place["w"] / COLUMNS
    top, height = 1 - place["y"] / rows, place["h"] / rows
    if panel["type"] == "row":
        figure.text(left + 0.005, top - height / 2, panel["title"], weight="bold", va="center", fontsize=11)
        return
    # Room for the title above and the legend below.
    axes = figure.add_axes((left + 0.035, top - height + 0.32 * height, width - 0.05, 0.5 * height))
    axes.set_title(panel["title"], fontsize=9, loc="left")
    match panel["type"]:
        case "timeseries":
            _graph(axes, panel, prometheus, last_s, rate_over)
        case "stat":
            _numbers(axes, panel, prometheus, rate_over)
        case _:
            _table(axes, panel, prometheus)


def _graph(axes: Axes, panel: dict[str, Any], prometheus: Prometheus, last_s: float, rate_over: str) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    floor: dict[float, float] = {}
    for target in panel["targets"]:
        expression = target["expr"].replace(RATE_INTERVAL, rate_over)
        for series in prometheus.range(expression, last_s=last_s, step_s=max(last_s / 200, 1)):
            at = [float(when) for when, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            if stacked:
                below = [floor.get(when, 0.0) for when in at]
                values = [value + under for value, under in zip(values, below, strict=True)]
                axes.fill_between(_ago(at), below, values, alpha=0.3)
                floor.update(zip(at, values, strict=True))
            axes.plot(_ago(at), values, linewidth=1, label=_legend(target["legendFormat"], series["metric"]))
    for step in defaults["thresholds"]["steps"][1:]:
        if defaults["custom"]["thresholdsStyle"]["mode"] == "line":
            axes.axhline(step["value"], color="red", linewidth=0.8, linestyle="--")
    axes.set_xlim(-last_s, 0)
    axes.set_ylim(bottom=defaults.get("min"), top=defaults.get("max"))
    axes.tick_params(labelsize=7)
    axes.set_ylabel(defaults["unit"], fontsize=7)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        shown = slice(0, _LONGEST_LEGEND)
        axes.legend(handles[shown], labels[shown], fontsize=6, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.15))
    else:
        _say(axes, "no data")


def _ago(times: Sequence[float]) -> list[float]:
    now = time.time()
    return [at - now for at in times]


def _numbers(axes: Axes, panel: dict[str, Any], prometheus: Prometheus, rate_over: str) -> None:
    axes.axis("off")
    found = [
        (_legend(target["legendFormat"], series["metric"]), float(series["value"][1]))
        for target in panel["targets"]
        for series in prometheus.value(target["expr"].replace(RATE_INTERVAL, rate_over))
    ]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    said = [f"{name} {_value(number, unit)}".strip() for name, number in found]
    _say(axes, "   ".join(said) or "no data", size=14 if said else 9)


def _value(number: float, unit: str) -> str:
    match unit:
        case "percentunit":
            return f"{number:.2%}"
        case "bool_yes_no":
            return "yes" if number else "no"
        case "s":
            return f"{number:.3g} s"
        case _:
            return f"{number:g}"


def _table(axes: Axes, panel: dict[str, Any], prometheus: Prometheus) -> None:
    axes.axis("off")
    rows = [series["metric"] for target in panel["targets"] for series in prometheus.value(target["expr"])]
    said = [f"{row.get('alertname')}  ({row.get('severity')})" for row in rows]
    _say(axes, "\n".join(said) or "none", size=9)


def _legend(template: str, labels: Mapping[str, str]) -> str:
    if template == "__auto":
        return ", ".join(value for name, value in labels.items() if name != "__name__")
    return _LABEL.sub(lambda found: labels.get(found[1], ""), template)


def _say(axes: Axes, text: str, *, size: float = 9) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=size)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prometheus", required=True, help="its address, http://HOST:PORT")
    parser.add_argument("--to", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--last", type=float, default=900, help="seconds to look back (%(default)g)")
    parser.add_argument("--rate-over", default="1m", help="what $__rate_interval is (%(default)s)")
    arguments = parser.parse_args()
    draw_all(Prometheus(url=arguments.prometheus), arguments.to, last_s=arguments.last, rate_over=arguments.rate_over)


def draw_all(prometheus: Prometheus, folder: Path, *, last_s: float, rate_over: str) -> list[Path]:
    mpl.use("agg")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{dashboard.uid}.png" for dashboard in DASHBOARDS]
    for dashboard, file in zip(DASHBOARDS, files, strict=True):
        draw(dashboard, prometheus, file, last_s=last_s, rate_over=rate_over)
    return files


if __name__ == "__main__":
    main()
