"""Types for metrics and their readings. Nothing here measures.

Names follow OpenTelemetry (dots, with the unit beside the name). The Prometheus name is derived from it by
OpenTelemetry's rule (`Metric.prometheus_name`). The platform's metrics are defined in `platform_metrics`, the
application's in `darkroom.contract.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class MetricKind(StrEnum):
    COUNTER = "counter"
    """Never decreases."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Where a metric is measured."""

    RECORD = "job record"
    """Counted in Redis by the scripts that change a job, so that a killed instance neither loses nor doubles a count.
    Read by the local runtime, and on a cluster by `recovery`, which pushes it."""
    BROKER = "JetStream"
    """Read like RECORD: by the local runtime, and on a cluster by `recovery`."""
    RUNTIME = "local runtime"
    """On a cluster, Knative's own metrics replace it."""
    FRONT = "gateway; on a cluster ingest and status"


_UNIT_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    kind: MetricKind
    unit: str
    """A UCUM unit, as in OpenTelemetry: `s`, `By`, or the thing counted, in braces."""
    attributes: tuple[str, ...] = ()
    description: str
    buckets: tuple[float, ...] = ()
    """The inclusive upper bounds of a histogram's buckets, without the last one, which is infinity."""
    source: Source

    @property
    def prometheus_name(self) -> str:
        """Return the name of the metric family; a histogram's samples add `_bucket`, `_sum` and `_count`.

        The rule is from the OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", metric metadata.
        """
        total = "_total" if self.kind is MetricKind.COUNTER else ""
        return self.name.replace(".", "_") + _UNIT_SUFFIXES.get(self.unit, "") + total

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(attribute.replace(".", "_") for attribute in self.attributes)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The values that a histogram has observed."""

    counts: tuple[int, ...]
    """Observations per bucket, not cumulative; the last bucket extends to infinity."""
    sum: float

    @property
    def count(self) -> int:
        return sum(self.counts)


Values: TypeAlias = Mapping[tuple[str, ...], float | Distribution]
"""Values keyed by the attributes' values, in the order of the attributes."""
Readings: TypeAlias = Mapping[Metric, Values]
"""Measured values, from any source, ready to be served or pushed."""
