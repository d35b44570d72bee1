"""Queries that several dashboards use. Ranges are Grafana's `$__rate_interval`, which follows the zoom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from darkroom.telemetry.metric import Metric
from tools.monitoring.dashboards.panels import Query
from tools.monitoring.promql import RATE_INTERVAL

QUANTILES = (0.5, 0.95, 0.99)


def now(metric: Metric, *by: str, matching: str = "", legend: str = "", aggregate: str = "sum") -> Query:
    """Query a gauge."""
    return Query(expression=f"{aggregate}{_by(by)}({metric.prometheus_name}{matching})", legend=legend or _legend(by))


def rate(metric: Metric, *by: str, matching: str = "", legend: str = "", sample: str = "") -> Query:
    """Query a counter's rate per second. `sample` is `_count` or `_sum` of a histogram."""
    counted = f"rate({metric.prometheus_name}{sample}{matching}[{RATE_INTERVAL}])"
    return Query(expression=f"sum{_by(by)}({counted})", legend=legend or _legend(by))


def quantiles(metric: Metric, *by: str, of: Sequence[float] = QUANTILES, matching: str = "") -> tuple[Query, ...]:
    return tuple(_quantiles(metric, by, of, matching))


def _quantiles(metric: Metric, by: tuple[str, ...], of: Sequence[float], matching: str) -> Iterator[Query]:
    for quantile in of:
        counted = f"rate({metric.prometheus_name}_bucket{matching}[{RATE_INTERVAL}])"
        yield Query(
            expression=f"histogram_quantile({quantile:g}, sum{_by(('le', *by))}({counted}))",
            legend=" ".join(filter(None, (_legend(by), f"p{quantile * 100:g}"))),
        )


def mean(metric: Metric, *by: str) -> Query:
    """Query the mean of a histogram."""
    total, count = rate(metric, *by, sample="_sum"), rate(metric, *by, sample="_count")
    return Query(expression=f"{total.expression} / {count.expression}", legend=_legend(by) or "mean")


def recorded(name: str, *, legend: str = "") -> Query:
    """Query a recording rule unchanged."""
    return Query(expression=name, legend=legend)


def _by(labels: Sequence[str]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def _legend(labels: Sequence[str]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)
