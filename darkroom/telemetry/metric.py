"""What a metric is, and what a reading of it looks like. Nothing here measures.

Names follow OpenTelemetry (dots, with the unit beside the name); the name that Prometheus sees follows from it by
OpenTelemetry's rule (`Metric.prometheus_name`). The platform's metrics are defined in `platform_metrics`, the
application's in `darkroom.contract.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    COUNTER = "counter"
    """Only grows."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who measures."""

    RECORD = "job record"
    """Counted in Redis by the scripts that change a job, so that no killed instance loses or doubles a count. Read by
    the local runtime, and on a cluster by `recovery`, which pushes it."""
    BROKER = "JetStream"
    """Like the record's: asked by the local runtime, and on a cluster by `recovery`."""
    RUNTIME = "local runtime"
    """A cluster has Knative's own metrics instead."""
    FRONT = "gateway; on a cluster ingest and status"


_UNIT_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    kind: Kind
    unit: str
    """UCUM, as OpenTelemetry has it: `s`, `By`, or what is counted in braces."""
    attributes: tuple[str, ...] = ()
    description: str
    buckets: tuple[float, ...] = ()
    """Of a histogram: the upper bounds, inclusive, without the last one, which is infinity."""
    source: Source

    @property
    def prometheus_name(self) -> str:
        """Of the family: a histogram's samples add `_bucket`, `_sum` and `_count` (OpenTelemetry specification,
        "Prometheus and OpenMetrics Compatibility", metric metadata)."""
        total = "_total" if self.kind is Kind.COUNTER else ""
        return self.name.replace(".", "_") + _UNIT_SUFFIXES.get(self.unit, "") + total

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(attribute.replace(".", "_") for attribute in self.attributes)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What a histogram has seen."""

    counts: tuple[int, ...]
    """For each bucket by itself, the one up to infinity last."""
    sum: float

    @property
    def count(self) -> int:
        return sum(self.counts)


Values: TypeAlias = Mapping[tuple[str, ...], float | Distribution]
"""By the values of the attributes, in their order."""
Readings: TypeAlias = Mapping[Metric, Values]
"""What was measured, whoever measured it, ready to be served or pushed."""
