"""A run's series in the size of a chart: no more points than pixels, and percentiles by the moment of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, inf

from darkroom.charts import round_step
from darkroom.simulate.result import Latencies
from darkroom.simulate.study.calibration import percentile

MOST_POINTS = 600
_MOST_BINS = 120
_MOST_WINDOWS = 40
_FEWEST = 5
"""A window with fewer requests has no meaningful percentiles."""


def thinned(times_s: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the points at which a value changes; of many, the largest of each group, so that no peak disappears."""
    group = max(1, ceil(len(values) / MOST_POINTS))
    points: list[tuple[float, float]] = []
    for start in range(0, len(values), group):
        value = float(max(values[start : start + group]))
        if not points or points[-1][1] != value:
            points.append((times_s[start], value))
    if points and times_s[-1] > points[-1][0]:
        points.append((times_s[-1], points[-1][1]))
    return points


def arrivals_per_bin(times_s: Sequence[float], end_s: float) -> tuple[float, list[tuple[float, float]]]:
    """Return the length of a bin, and the rate per second in each."""
    bin_s = round_step(max(1.0, end_s / _MOST_BINS))
    counts = Counter(floor(at / bin_s) for at in times_s)
    return bin_s, [(number * bin_s, counts[number] / bin_s) for number in range(max(counts, default=-1) + 1)]


@dataclass(frozen=True, kw_only=True)
class Window:
    """The requests that arrived around one moment."""

    middle_s: float
    p50_s: float
    p95_s: float
    p99_s: float


def windows_of(latencies: Latencies, end_s: float) -> list[Window]:
    width_s = max(1.0, end_s / _MOST_WINDOWS)
    windows: dict[int, list[float]] = {}
    for at_s, took_s in zip(latencies.arrived_s, latencies.seconds, strict=True):
        windows.setdefault(floor(at_s / width_s), []).append(took_s)
    made: list[Window] = []
    before: int | None = None
    for number, values in sorted(windows.items()):
        if len(values) < _FEWEST:
            continue
        if before is not None and number > before + 1:
            # A gap, in which nothing came.
            made.append(Window(middle_s=(before + 1.5) * width_s, p50_s=inf, p95_s=inf, p99_s=inf))
        ordered = sorted(values)
        made.append(
            Window(
                middle_s=(number + 0.5) * width_s,
                p50_s=percentile(ordered, 50),
                p95_s=percentile(ordered, 95),
                p99_s=percentile(ordered, 99),
            )
        )
        before = number
    return made


def slowest_window_s(latencies: Latencies, end_s: float) -> float:
    """Return the largest percentile that is drawn, so that charts beside each other can have the same scale."""
    return max((one.p99_s for one in windows_of(latencies, end_s) if one.p99_s != inf), default=0.0)
