"""A revision's `autoscaling.knative.dev/...` annotations: their names, and the bounds that Serving's webhook enforces.

Source: knative/serving pkg/apis/autoscaling/annotation_validation.go and register.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.events.durations import parse_go

PREFIX = "autoscaling.knative.dev/"
_KPA, _HPA = "kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"
_HOUR_S = 3600.0
_INT32 = 2**31 - 1
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?|nan", re.ASCII | re.IGNORECASE)
# For these, Serving also reads the older spelling.
_CAMEL = {
    "initial-scale": "initialScale",
    "max-scale": "maxScale",
    "metric-aggregation-algorithm": "metricAggregationAlgorithm",
    "min-scale": "minScale",
    "panic-threshold-percentage": "panicThresholdPercentage",
    "panic-window-percentage": "panicWindowPercentage",
    "scale-down-delay": "scaleDownDelay",
    "scale-to-zero-pod-retention-period": "scaleToZeroPodRetentionPeriod",
    "target-burst-capacity": "targetBurstCapacity",
    "target-utilization-percentage": "targetUtilizationPercentage",
}
NAMES = frozenset({*_CAMEL, *_CAMEL.values(), "activation-scale", "class", "metric", "target", "window"})
"""The names after the prefix, in both spellings."""

Message = tuple[str, str]
"""The annotation's full name, and what is wrong with it."""


def spellings(annotations: Mapping[Any, Any], name: str) -> Iterator[tuple[str, str]]:
    """The keys under which an annotation is there, today's spelling first, with their values."""
    for each in (name, _CAMEL.get(name)):
        value = annotations.get(f"{PREFIX}{each}") if each is not None else None
        if isinstance(value, str):
            yield f"{PREFIX}{each}", value


class Reader:
    """Reads annotations one by one and collects what is wrong."""

    def __init__(self, annotations: Mapping[Any, Any]) -> None:
        self._annotations = annotations
        self.messages: list[Message] = []

    def text(self, name: str) -> tuple[str, str] | None:
        """The key that is present, the new spelling first, and its value."""
        return next(spellings(self._annotations, name), None)

    def refuse(self, key: str, message: str) -> None:
        self.messages.append((key, f"{key.removeprefix(PREFIX)} {message}"))

    def whole(self, name: str, minimum: int) -> int | None:
        found = self.text(name)
        if found is None:
            return None
        key, value = found
        if not _WHOLE.fullmatch(value):
            self.refuse(key, f"must be a whole number, was {value!r}")
        elif not minimum <= int(value) <= _INT32:
            self.refuse(key, f"must be from {minimum} to {_INT32}, was {value}")
        else:
            return int(value)
        return None

    def number(self, name: str, minimum: float, maximum: float = float("inf")) -> None:
        found = self.text(name)
        if found is None:
            return
        key, value = found
        if not NUMBER.fullmatch(value):
            self.refuse(key, f"must be a number, was {value!r}")
        elif float(value) < minimum or float(value) > maximum:
            bounds = f"from {minimum:g} to {maximum:g}" if maximum != float("inf") else f"at least {minimum:g}"
            self.refuse(key, f"must be {bounds}, was {value}")

    def duration(self, name: str, minimum_s: float, *, whole_seconds: bool) -> None:
        found = self.text(name)
        if found is None:
            return
        key, value = found
        try:
            value_s = parse_go(value)
        except ValueError as exc:
            self.refuse(key, str(exc))
            return
        if not minimum_s <= value_s <= _HOUR_S:
            self.refuse(key, f"must be from {minimum_s:g}s to 1h, was {value}")
        elif whole_seconds and value_s != int(value_s):
            self.refuse(key, f"must be in whole seconds, was {value}")


def scaling_problems(annotations: Mapping[Any, Any]) -> list[Message]:
    read = Reader(annotations)
    _read_scales(read)
    read.number("panic-window-percentage", 1, 100)
    read.number("panic-threshold-percentage", 110, 1000)
    read.number("target", 0.01)
    read.number("target-utilization-percentage", 1, 100)
    _read_burst_capacity(read)
    read.duration("window", 6, whole_seconds=True)
    read.duration("scale-to-zero-pod-retention-period", 0, whole_seconds=False)
    read.duration("scale-down-delay", 0, whole_seconds=True)
    _read_class_and_metric(read)
    return read.messages


def _read_scales(read: Reader) -> None:
    minimum, maximum = read.whole("min-scale", 0) or 0, read.whole("max-scale", 0) or 0
    read.whole("initial-scale", 1)
    if 0 < maximum < minimum:
        read.refuse(f"{PREFIX}max-scale", f"must not be below {PREFIX}min-scale, which is {minimum}, was {maximum}")
    activation = read.whole("activation-scale", 2)
    if activation is not None and activation < minimum:
        read.refuse(f"{PREFIX}activation-scale", f"must not be below min-scale, which is {minimum}, was {activation}")
    elif activation is not None and 0 < maximum < activation:
        read.refuse(f"{PREFIX}activation-scale", f"must not be above max-scale, which is {maximum}, was {activation}")


def _read_burst_capacity(read: Reader) -> None:
    found = read.text("target-burst-capacity")
    if found is not None and not (NUMBER.fullmatch(found[1]) and (float(found[1]) >= 0 or float(found[1]) == -1)):
        read.refuse(found[0], f"must be -1 or at least 0, was {found[1]}")


def _read_class_and_metric(read: Reader) -> None:
    _, scaler = read.text("class") or ("", _KPA)
    if scaler.endswith(".knative.dev") and scaler not in {_KPA, _HPA}:
        read.refuse(f"{PREFIX}class", f"must be {_KPA} or {_HPA}, was {scaler!r}")
    metric = read.text("metric")
    if metric is not None and scaler == _KPA and metric[1] not in {"concurrency", "rps"}:
        read.refuse(metric[0], f"must be concurrency or rps with {_KPA}, was {metric[1]!r}")
    if metric is not None and scaler == _HPA and not metric[1]:
        read.refuse(metric[0], "must not be empty")
    algorithm = read.text("metric-aggregation-algorithm")
    allowed = {"", "linear", "weighted-exponential", "weightedExponential"}
    if algorithm is not None and read.text("class") is not None and scaler == _KPA and algorithm[1] not in allowed:
        read.refuse(algorithm[0], f"must be linear or weighted-exponential, was {algorithm[1]!r}")
