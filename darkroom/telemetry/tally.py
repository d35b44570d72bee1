"""Counts in memory, for whoever measures: counters and histograms of the catalog, read as `Readings`.

Nothing here knows when to count, or who reads.
"""

from __future__ import annotations

from bisect import bisect_left

from darkroom.telemetry.metric import Distribution, Kind, Metric, Readings

Labels = tuple[str, ...]


class Tally:
    """Not safe to share between threads. A metric is read from the start, without values at first."""

    def __init__(self, *metrics: Metric) -> None:
        self._totals: dict[Metric, dict[Labels, float]] = {metric: {} for metric in metrics}
        """Of a histogram, the sums."""
        self._buckets: dict[Metric, dict[Labels, list[int]]] = {}

    def begin(self, metric: Metric, *labels: str) -> None:
        """From now on it is read, as 0 until something is counted: what first appears with a 1 is lost to a rate."""
        totals = self._totals.setdefault(metric, {})
        if labels not in totals:
            totals[labels] = 0
            if metric.kind is Kind.HISTOGRAM:
                self._buckets.setdefault(metric, {})[labels] = [0] * (len(metric.buckets) + 1)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Of a histogram, its sum."""
        self.begin(metric, *labels)
        self._totals[metric][labels] += by

    def fill(self, metric: Metric, *labels: str, value: float, times: int = 1) -> None:
        """Into the bucket of a histogram that has this value, without its sum."""
        self.begin(metric, *labels)
        self._buckets[metric][labels][bisect_left(metric.buckets, value)] += times

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        self.fill(metric, *labels, value=value)
        self.count(metric, *labels, by=value)

    def readings(self) -> Readings:
        return {metric: self._values(metric) for metric in self._totals}

    def _values(self, metric: Metric) -> dict[Labels, float | Distribution]:
        totals = self._totals[metric]
        if metric.kind is not Kind.HISTOGRAM:
            return dict(totals)
        buckets = self._buckets.get(metric, {})
        return {labels: Distribution(counts=tuple(buckets[labels]), sum=totals[labels]) for labels in totals}
