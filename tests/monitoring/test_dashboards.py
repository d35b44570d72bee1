"""The dashboards as Grafana takes them: their shape, and what a reader would stumble over."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from tools.monitoring.dashboards import DASHBOARDS, Dashboard, grafana
from tools.monitoring.dashboards.panels import COLUMNS, PanelKind

_DATASOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
    "additionalProperties": False,
}
_PLACE = {
    "type": "object",
    "required": ["x", "y", "w", "h"],
    "properties": {
        "x": {"type": "integer", "minimum": 0, "maximum": COLUMNS - 1},
        "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": COLUMNS},
        "h": {"type": "integer", "minimum": 1},
    },
    "additionalProperties": False,
}
_TARGET = {
    "type": "object",
    "required": ["refId", "datasource", "expr", "legendFormat", "instant", "range"],
    "properties": {
        "refId": {"type": "string", "pattern": "^[A-Z]$"},
        "datasource": _DATASOURCE,
        "expr": {"type": "string", "minLength": 1},
        "legendFormat": {"type": "string"},
        "instant": {"type": "boolean"},
        "range": {"type": "boolean"},
        "format": {"enum": ["table"]},
    },
    "additionalProperties": False,
}
_STEP = {
    "type": "object",
    "required": ["color", "value"],
    "properties": {"color": {"enum": ["green", "red"]}, "value": {"type": ["number", "null"]}},
    "additionalProperties": False,
}
_FIELDS = {
    "type": "object",
    "required": ["defaults", "overrides"],
    "properties": {
        "defaults": {
            "type": "object",
            "required": ["unit", "thresholds"],
            "properties": {
                "thresholds": {
                    "type": "object",
                    "required": ["mode", "steps"],
                    "properties": {
                        "mode": {"const": "absolute"},
                        "steps": {"type": "array", "minItems": 1, "items": _STEP},
                    },
                }
            },
        },
        "overrides": {"type": "array"},
    },
}
_ROW = {
    "type": "object",
    "required": ["id", "type", "title", "collapsed", "gridPos", "panels"],
    "properties": {"type": {"const": "row"}, "title": {"type": "string", "minLength": 1}, "gridPos": _PLACE},
}
_PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "description", "datasource", "gridPos", "fieldConfig", "options", "targets"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": [str(kind) for kind in PanelKind]},
        "title": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "datasource": _DATASOURCE,
        "gridPos": _PLACE,
        "fieldConfig": _FIELDS,
        "options": {"type": "object"},
        "targets": {"type": "array", "minItems": 1, "items": _TARGET},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["uid", "title", "tags", "schemaVersion", "templating", "time", "panels", "annotations"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": {"type": "string", "minLength": 1},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "panels": {"type": "array", "minItems": 1, "items": {"oneOf": [_ROW, _PANEL]}},
    },
}
"""Of what these dashboards use of Grafana's JSON model; it has a documentation, and no published schema."""


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = grafana(dashboard)["panels"]
    return found


each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.uid)


@each_dashboard
def test_it_has_the_shape_that_grafana_takes(dashboard: Dashboard) -> None:
    errors = [
        f"{list(e.instance_path)}: {e.message}"
        for e in jsonschema_rs.Draft7Validator(SCHEMA).iter_errors(grafana(dashboard))
    ]
    assert errors == []


def test_a_panel_without_a_query_is_found() -> None:
    broken = grafana(DASHBOARDS[0])
    broken["panels"][1]["targets"] = []
    assert not jsonschema_rs.Draft7Validator(SCHEMA).is_valid(broken)


@each_dashboard
def test_its_datasource_can_be_chosen(dashboard: Dashboard) -> None:
    (variable,) = grafana(dashboard)["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")


@each_dashboard
def test_no_two_panels_have_one_number(dashboard: Dashboard) -> None:
    numbers = [panel["id"] for panel in panels(dashboard)]
    assert len(numbers) == len(set(numbers))


@each_dashboard
def test_no_two_panels_overlap_and_none_leaves_the_grid(dashboard: Dashboard) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(dashboard):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


@each_dashboard
def test_a_line_that_tells_one_series_from_another_is_named(dashboard: Dashboard) -> None:
    """A legend names each label that the query groups by, but for a histogram's `le`."""
    named = 0
    for panel in dashboard.panels:
        for query in panel.queries:
            grouped = re.match(r"(?:histogram_quantile\([\d.]+, )?(?:sum|max|min) by \(([^)]*)\)", query.expression)
            for label in grouped[1].split(", ") if grouped else ():
                assert label == "le" or f"{{{{{label}}}}}" in query.legend, (panel.title, query)
                named += label != "le"
    assert named, "no query groups by anything: is it still seen?"


def test_titles_and_addresses_are_unlike() -> None:
    assert len({each.uid for each in DASHBOARDS}) == len({each.title for each in DASHBOARDS}) == len(DASHBOARDS) == 4
