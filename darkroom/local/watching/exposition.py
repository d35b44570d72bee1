"""Writes readings in Prometheus's text format, with its own client library."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from darkroom.telemetry.metric import Distribution, Metric, MetricKind, Readings, Values

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition(readings: Readings) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ReadingsCollector(readings))
    return generate_latest(registry)


class _ReadingsCollector(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Family]:
        return [_family(metric, values) for metric, values in self._readings.items()]


def _family(metric: Metric, values: Values) -> Family:
    family = _empty_family(metric)
    for labels, value in values.items():
        if isinstance(family, HistogramMetricFamily) and isinstance(value, Distribution):
            family.add_metric(labels, _cumulative(metric, value), value.sum)
        elif isinstance(family, CounterMetricFamily | GaugeMetricFamily) and not isinstance(value, Distribution):
            family.add_metric(labels, value)
        else:
            raise TypeError(f"{metric.name} is a {metric.kind}, but was read as {value!r}")
    return family


def _empty_family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    name, description, labels = metric.prometheus_name, metric.description, metric.labels
    match metric.kind:
        case MetricKind.COUNTER:
            return CounterMetricFamily(name, description, labels=labels)
        case MetricKind.GAUGE:
            return GaugeMetricFamily(name, description, labels=labels)
        case MetricKind.HISTOGRAM:
            return HistogramMetricFamily(name, description, labels=labels)


def _cumulative(metric: Metric, distribution: Distribution) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in metric.buckets), "+Inf"]
    return list(zip(bounds, accumulate(distribution.counts), strict=True))
