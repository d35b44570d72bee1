"""Counters and histograms in memory, which are read as `Readings`."""

from __future__ import annotations

from bisect import bisect_left

from darkroom.telemetry.metric import Distribution, Metric, MetricKind, Readings

Labels = tuple[str, ...]


class Tally:
    """A set of metrics counted in memory. Readings include each metric from the start, at first without values.

    Not thread-safe.
    """

    def __init__(self, *metrics: Metric) -> None:
        self._totals: dict[Metric, dict[Labels, float]] = {metric: {} for metric in metrics}
        """For histograms, the sums of the observed values."""
        self._buckets: dict[Metric, dict[Labels, list[int]]] = {}

    def begin(self, metric: Metric, *labels: str) -> None:
        """Include these labels in the readings from now on, starting at 0.

        A series that first appears with a 1 is invisible to a rate.
        """
        totals = self._totals.setdefault(metric, {})
        if labels not in totals:
            totals[labels] = 0
            if metric.kind is MetricKind.HISTOGRAM:
                self._buckets.setdefault(metric, {})[labels] = [0] * (len(metric.buckets) + 1)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter, or to a histogram's sum."""
        self.begin(metric, *labels)
        self._totals[metric][labels] += by

    def fill(self, metric: Metric, *labels: str, value: float, times: int = 1) -> None:
        """Count a value in its bucket of a histogram, without adding to the sum."""
        self.begin(metric, *labels)
        self._buckets[metric][labels][bisect_left(metric.buckets, value)] += times

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        self.fill(metric, *labels, value=value)
        self.count(metric, *labels, by=value)

    def readings(self) -> Readings:
        return {metric: self._values(metric) for metric in self._totals}

    def _values(self, metric: Metric) -> dict[Labels, float | Distribution]:
        totals = self._totals[metric]
        if metric.kind is not MetricKind.HISTOGRAM:
            return dict(totals)
        buckets = self._buckets.get(metric, {})
        return {labels: Distribution(counts=tuple(buckets[labels]), sum=totals[labels]) for labels in totals}
