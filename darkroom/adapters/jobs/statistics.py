"""What a job store has counted of its jobs' changes, as readings of the catalog. When to count is the stores' affair.

A series that has a name before anything happened begins at 0: the first event of a series that appears with a 1 is lost
to whoever asks for rates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import product

from darkroom.contract import metrics
from darkroom.contract.jobs import JobStatus, JobType
from darkroom.contract.metrics import COST_CLASSES, STAGES, Distribution, Kind, Metric, Readings, Source
from darkroom.contract.parameters import Format

COUNTED = tuple(
    metric for metric in metrics.CATALOG if metric.source is Source.RECORD and metric.kind is not Kind.GAUGE
)

_COMPLETED = JobStatus.COMPLETED.value
_KNOWN_VALUES: Mapping[str, tuple[str, ...]] = {
    "type": tuple(JobType),
    "cost_class": COST_CLASSES,
    "status": (_COMPLETED, JobStatus.FAILED.value),
    "stage": STAGES,
    "format": tuple(name for name in Format if name is not Format.KEEP),
    "good": ("true", "false"),
    "error.type": ("",),
}


class Tally:
    """Not safe to share between threads."""

    def __init__(self) -> None:
        self._counts: dict[Metric, dict[tuple[str, ...], float]] = {}
        self._buckets: dict[Metric, dict[tuple[str, ...], list[int]]] = {}
        for metric in COUNTED:
            for labels in _known_series(metric):
                self._begin(metric, labels)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Of a counter; of a histogram, its sum."""
        self._begin(metric, labels)
        self._counts[metric][labels] += by

    def fill(self, metric: Metric, *labels: str, value: float, times: int = 1) -> None:
        """Into the bucket of a histogram that has this value, without its sum."""
        self._begin(metric, labels)
        self._buckets[metric][labels][bisect_left(metric.buckets, value)] += times

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        self.fill(metric, *labels, value=value)
        self.count(metric, *labels, by=value)

    def readings(
        self, *, unfinished: Mapping[JobStatus, int], oldest_age_s: float, outbox: int, given_up: int
    ) -> Readings:
        return {
            **{metric: self._values(metric) for metric in COUNTED},
            metrics.JOBS_UNFINISHED: {(status.value,): count for status, count in unfinished.items()},
            metrics.JOBS_OLDEST_UNFINISHED_AGE: {(): oldest_age_s},
            metrics.JOBS_OUTBOX: {(): outbox},
            metrics.JOBS_GIVEN_UP: {(): given_up},
        }

    def _begin(self, metric: Metric, labels: tuple[str, ...]) -> None:
        self._counts.setdefault(metric, {}).setdefault(labels, 0)
        if metric.kind is Kind.HISTOGRAM:
            empty = [0] * (len(metric.buckets) + 1)
            self._buckets.setdefault(metric, {}).setdefault(labels, empty)

    def _values(self, metric: Metric) -> dict[tuple[str, ...], float | Distribution]:
        counts = self._counts[metric]
        if metric.kind is not Kind.HISTOGRAM:
            return dict(counts)
        buckets = self._buckets[metric]
        return {labels: Distribution(counts=tuple(buckets[labels]), sum=counts[labels]) for labels in counts}


def result_format(content_type: str) -> str:
    return content_type.rpartition("/")[2]


def _known_series(metric: Metric) -> Iterator[tuple[str, ...]]:
    for labels in product(*(_KNOWN_VALUES[attribute] for attribute in metric.attributes)):
        series = dict(zip(metric.attributes, labels, strict=True))
        # Which errors there will be is not known before.
        if "error.type" not in series or series.get("status", _COMPLETED) == _COMPLETED:
            yield labels
