"""Parses a revision's `autoscaling.knative.dev/...` annotations, with the bounds that Serving's webhook enforces."""

from __future__ import annotations

import re
from collections.abc import Mapping

from darkroom.events.durations import parse_go
from darkroom.manifests.model import FieldProblem, raise_problems
from darkroom.manifests.revision import ScalingConfig

PREFIX = "autoscaling.knative.dev/"
NAMES = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "class",
        "metric",
        "min-scale",
        "max-scale",
        "initial-scale",
        "activation-scale",
        "target",
        "target-utilization-percentage",
        "target-burst-capacity",
        "window",
        "panic-window-percentage",
        "panic-threshold-percentage",
        "scale-down-delay",
        "scale-to-zero-pod-retention-period",
    )
)

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_KPA = "kpa.autoscaling.knative.dev"
_HOUR_S = 3600.0
_MAX_INT32 = 2**31 - 1
_DEFAULT_TOTAL = 100.0
"""Requests in flight that an instance is assumed to handle when neither the annotation nor the Service says."""


def parse(annotations: Mapping[str, str], container_concurrency: int) -> ScalingConfig:
    """Parse the annotations; raises FieldProblemsError with the value and the bounds of each invalid one."""
    read = _Reader(annotations)
    read.require("class", _KPA, "the local runtime has no other autoscaler")
    read.require("metric", "concurrency", "the local runtime measures concurrency")
    read.check_burst_capacity()
    min_scale = read.integer("min-scale", 0, minimum=0)
    max_scale = read.integer("max-scale", 0, minimum=0)
    if 0 < max_scale < min_scale:
        read.refuse("max-scale", f"must not be below {PREFIX}min-scale, which is {min_scale}, was {max_scale}")
    config = ScalingConfig(
        min_scale=min_scale,
        max_scale=max_scale,
        # A cluster forbids 0 unless allow-zero-initial-scale is on.
        initial_scale=read.integer("initial-scale", 1, minimum=1),
        activation_scale=read.integer("activation-scale", 1, minimum=1),
        target=_target(read.number("target", 0.0, minimum=0.01), container_concurrency),
        target_utilization=read.number("target-utilization-percentage", 70.0, minimum=1, maximum=100) / 100,
        container_concurrency=container_concurrency,
        window_s=read.duration("window", 60.0, minimum_s=6.0),
        panic_window_percentage=read.number("panic-window-percentage", 10.0, minimum=1, maximum=100),
        panic_threshold_percentage=read.number("panic-threshold-percentage", 200.0, minimum=110, maximum=1000),
        scale_down_delay_s=read.duration("scale-down-delay", 0.0),
        retention_s=read.duration("scale-to-zero-pod-retention-period", 0.0),
    )
    raise_problems(read.problems)
    return config


def _target(target: float, container_concurrency: int) -> float:
    """Return the requests per instance: the annotation, but never more than containerConcurrency allows."""
    if not container_concurrency:
        return target or _DEFAULT_TOTAL
    return min(target, container_concurrency) if target else float(container_concurrency)


class _Reader:
    """Reads annotations; for an invalid one, it records the problem and continues with the default."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations
        self.problems: list[FieldProblem] = []

    def refuse(self, name: str, message: str) -> None:
        self.problems.append(((PREFIX + name,), message))

    def _text(self, name: str) -> str | None:
        return self._annotations.get(PREFIX + name)

    def require(self, name: str, allowed: str, reason: str) -> None:
        text = self._text(name)
        if text is not None and text != allowed:
            self.refuse(name, f"must be {allowed!r} ({reason}), was {text!r}")

    def integer(self, name: str, default: int, *, minimum: int) -> int:
        text = self._text(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            self.refuse(name, f"must be a whole number, was {text!r}")
            return default
        value = int(text)
        if not minimum <= value <= _MAX_INT32:
            self.refuse(name, f"must be from {minimum} to {_MAX_INT32}, was {value}")
            return default
        return value

    def number(self, name: str, default: float, *, minimum: float, maximum: float = float("inf")) -> float:
        value = self._float(name)
        if value is None:
            return default
        if not minimum <= value <= maximum:
            bounds = f"from {minimum:g} to {maximum:g}" if maximum != float("inf") else f"at least {minimum:g}"
            self.refuse(name, f"must be {bounds}, was {self._text(name)}")
            return default
        return value

    def check_burst_capacity(self) -> None:
        # Checked but without effect: the local activator is always in the path, as with a capacity of -1.
        value = self._float("target-burst-capacity")
        if value is not None and not value >= 0 and value != -1:
            self.refuse("target-burst-capacity", f"must be -1 or at least 0, was {value:g}")

    def duration(self, name: str, default_s: float, *, minimum_s: float = 0.0) -> float:
        text = self._text(name)
        if text is None:
            return default_s
        try:
            value_s = parse_go(text)
        except ValueError as exc:
            self.refuse(name, str(exc))
            return default_s
        if not minimum_s <= value_s <= _HOUR_S:
            self.refuse(name, f"must be from {minimum_s:g}s to 1h, was {text}")
        elif value_s != int(value_s):
            self.refuse(name, f"must be in whole seconds, was {text}")
        return value_s

    def _float(self, name: str) -> float | None:
        text = self._text(name)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            self.refuse(name, f"must be a number, was {text!r}")
            return None
