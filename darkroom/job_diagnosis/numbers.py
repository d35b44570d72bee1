"""Plain numbers from a job store's readings."""

from __future__ import annotations

from darkroom.telemetry.metric import Distribution, Metric, Readings


def number(readings: Readings, metric: Metric, *labels: str) -> float:
    """Return a gauge's or counter's value; 0 where there is none."""
    value = readings.get(metric, {}).get(labels, 0.0)
    return value.count if isinstance(value, Distribution) else float(value)


def numbers(readings: Readings, metric: Metric) -> dict[tuple[str, ...], float]:
    """Return the values that are not 0, by their labels."""
    return {labels: found for labels in readings.get(metric, {}) if (found := number(readings, metric, *labels))}
