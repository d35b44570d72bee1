"""The names that an expression may use: the catalog's, the recording rules', and the few that others provide.

A rule or a dashboard with any other name is refused when it is written, so that a renamed metric cannot leave a dead
alert behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from darkroom.telemetry.metric import MetricKind
from tools.catalog import CATALOG
from tools.monitoring.promql import UnknownMetricError, metrics_in
from tools.monitoring.records import CLUSTER_METRICS, NAMES

_HISTOGRAM_SAMPLES = ("_bucket", "_sum", "_count")
ALERTS = "ALERTS"
"""Prometheus' own: which alerts are pending or firing."""


def of_catalog() -> Iterator[str]:
    for metric in CATALOG:
        suffixes = _HISTOGRAM_SAMPLES if metric.kind is MetricKind.HISTOGRAM else ("",)
        yield from (metric.prometheus_name + suffix for suffix in suffixes)


KNOWN = frozenset(of_catalog()) | NAMES | CLUSTER_METRICS | {ALERTS}


def refuse_unknown(expressions: Iterable[str]) -> None:
    for expression in expressions:
        unknown = metrics_in(expression) - KNOWN
        if unknown:
            raise UnknownMetricError(f"{', '.join(sorted(unknown))}: not in the catalog of metrics, in {expression!r}")
