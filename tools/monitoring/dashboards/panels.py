"""The parts of a dashboard, and how they become Grafana's JSON: queries, panels, rows, and their places on the grid.

The dashboards themselves are the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

COLUMNS = 24
"""The width of Grafana's grid."""
_SCHEMA = 39
"""Grafana 10 and newer; a newer version upgrades the model when it loads it."""
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class PanelKind(StrEnum):
    GRAPH = "timeseries"
    NUMBER = "stat"
    TABLE = "table"


class Unit(StrEnum):
    """The names of units in Grafana."""

    NUMBER = "short"
    SHARE = "percentunit"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_S = "Bps"
    PER_S = "cps"
    CORES = "cores"
    YES_OR_NO = "bool_yes_no"


@dataclass(frozen=True, kw_only=True)
class Query:
    expression: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    description: str
    """What it shows, and from which value on it is bad."""
    queries: Sequence[Query]
    unit: Unit = Unit.NUMBER
    kind: PanelKind = PanelKind.GRAPH
    width: int = 8
    height: int = 8
    bad_above: float | None = None
    """Above this value a line or a number is red."""
    bad_below: float | None = None
    """Below this value it is red."""
    stacked: bool = False
    at_most: float | None = None
    """The upper end of the axis, where there is a natural one."""
    may_be_negative: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    uid: str
    """Stable across versions, for links and for the generated file's name."""
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)


def grafana(dashboard: Dashboard) -> dict[str, Any]:
    """Return the dashboard's JSON model, as Grafana imports and provisions it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["darkroom"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource_variable()]},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "Darkroom",
                "tags": ["darkroom"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "panels": list(_panels(dashboard.rows)),
    }


def _datasource_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row in rows:
        yield _row(row, number, top)
        number, top = number + 1, top + 1
        for panel, left, y in _placed(row.panels, top):
            yield _panel(panel, number, {"x": left, "y": y, "w": panel.width, "h": panel.height})
            number += 1
            top = max(top, y + panel.height)


def _placed(panels: Sequence[Panel], top: int) -> Iterator[tuple[Panel, int, int]]:
    """Place the panels from left to right, and start a new line below the tallest when a line is full."""
    left, tallest = 0, 0
    for panel in panels:
        if left + panel.width > COLUMNS:
            left, top, tallest = 0, top + tallest, 0
        yield panel, left, top
        left, tallest = left + panel.width, max(tallest, panel.height)


def _row(row: Row, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, query, place_) for place_, query in enumerate(panel.queries)],
    }


def _target(panel: Panel, query: Query, number: int) -> dict[str, Any]:
    now_only = panel.kind is not PanelKind.GRAPH
    return {
        "refId": chr(ord("A") + number),
        "datasource": _DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": now_only,
        "range": not now_only,
        **({"format": "table"} if panel.kind is PanelKind.TABLE else {}),
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": str(panel.unit), "thresholds": _thresholds(panel)}
    if not panel.may_be_negative:
        field["min"] = 0
    if panel.at_most is not None:
        field["max"] = panel.at_most
    if panel.kind is PanelKind.GRAPH:
        limited = panel.bad_above is not None or panel.bad_below is not None
        field["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 30 if panel.stacked else 5,
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "line" if limited else "off"},
        }
    else:
        field["color"] = {"mode": "thresholds"}
    return field


def _thresholds(panel: Panel) -> dict[str, Any]:
    if panel.bad_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    else:
        steps = [{"color": "green", "value": None}]
        if panel.bad_above is not None:
            steps.append({"color": "red", "value": panel.bad_above})
    return {"mode": "absolute", "steps": steps}


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case PanelKind.GRAPH:
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case PanelKind.NUMBER:
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "auto",
            }
        case PanelKind.TABLE:
            return {"showHeader": True}
