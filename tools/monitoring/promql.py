"""The PromQL needed to check expressions against the catalog: inserting the catalog's names, finding the metrics an
expression names, changing its time ranges. No evaluation; Prometheus does that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Template

from darkroom.telemetry.metric import Metric
from tools import catalog as metrics

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_MATCHERS = re.compile(r"\{[^{}]*\}")
_RANGE = re.compile(r"\[[^\[\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_NAME = re.compile(r"(?<![\w:$.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_KEYWORDS = frozenset({"and", "or", "unless", "offset", "bool", "group_left", "group_right", "inf", "nan"})
_SPAN = re.compile(r"(?P<before>\[|\boffset )(?P<span>\d+[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

RATE_INTERVAL = "$__rate_interval"
"""Grafana's variable: a range that is long enough for a rate at the panel's resolution."""


class UnknownMetricError(ValueError):
    """An expression names a metric that nothing measures."""


_CATALOG_NAMES = {
    constant: metric.prometheus_name for constant, metric in vars(metrics).items() if isinstance(metric, Metric)
}


def with_catalog_names(expression: str) -> str:
    """Replace `$JOBS_ENDED` by Prometheus' name for the metric, and `${JOB_DURATION}_sum` by a histogram's samples."""
    try:
        return Template(expression).substitute(_CATALOG_NAMES)
    except KeyError as exc:
        raise UnknownMetricError(f"${exc.args[0]}: not in the catalog of metrics, in {expression!r}") from exc


def metrics_in(expression: str) -> frozenset[str]:
    """Return the metrics and recording rules that an expression reads."""
    for noise in (_STRING, _MATCHERS, _RANGE, _GROUPING):
        expression = noise.sub(" ", expression)
    return frozenset(name for name in _NAME.findall(expression) if name.lower() not in _KEYWORDS)


def seconds(span: str) -> int:
    """Convert `5m` to 300."""
    return int(span[:-1]) * _UNIT_S[span[-1]]


def with_spans(expression: str, change: Callable[[str], str]) -> str:
    """Replace each of the expression's ranges and offsets by what `change` makes of it."""
    return _SPAN.sub(lambda found: found["before"] + change(found["span"]), expression)
