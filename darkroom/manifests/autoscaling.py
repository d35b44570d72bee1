"""Parses a revision's `autoscaling.knative.dev/...` annotations, with the bounds that Serving's webhook enforces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from darkroom.events.durations import parse_go
from darkroom.manifests.model import FieldProblem, raise_problems
from darkroom.manifests.platform.scaling import PREFIX, scaling_problems, spellings
from darkroom.manifests.revision import ScalingConfig

_KPA = "kpa.autoscaling.knative.dev"
_DEFAULT_TOTAL = 100.0
"""Requests in flight that an instance is assumed to handle when neither the annotation nor the Service says."""


def parse(annotations: Mapping[str, str], container_concurrency: int) -> ScalingConfig:
    """Parse the annotations; raises FieldProblemsError with the value and the bounds of each invalid one."""
    raise_problems([*_refused(annotations), *_unsupported(annotations)])
    read = _Reader(annotations)
    return ScalingConfig(
        min_scale=read.integer("min-scale", 0),
        max_scale=read.integer("max-scale", 0),
        initial_scale=read.integer("initial-scale", 1),
        activation_scale=read.integer("activation-scale", 1),
        target=_target(read.number("target", 0.0), container_concurrency),
        target_utilization=read.number("target-utilization-percentage", 70.0) / 100,
        container_concurrency=container_concurrency,
        window_s=read.duration("window", 60.0),
        panic_window_percentage=read.number("panic-window-percentage", 10.0),
        panic_threshold_percentage=read.number("panic-threshold-percentage", 200.0),
        scale_down_delay_s=read.duration("scale-down-delay", 0.0),
        retention_s=read.duration("scale-to-zero-pod-retention-period", 0.0),
    )


def _refused(annotations: Mapping[str, str]) -> Iterator[FieldProblem]:
    """What Serving's webhook refuses."""
    for name, message in scaling_problems(annotations):
        yield (name,), message.removeprefix(f"{name.removeprefix(PREFIX)} ")


def _unsupported(annotations: Mapping[str, str]) -> Iterator[FieldProblem]:
    """What Serving accepts and the local runtime does not have."""
    for name, allowed, reason in (
        ("class", _KPA, "the local runtime has no other autoscaler"),
        ("metric", "concurrency", "the local runtime measures concurrency"),
    ):
        text = annotations.get(PREFIX + name)
        if text is not None and text != allowed:
            yield (PREFIX + name,), f"must be {allowed!r} ({reason}), was {text!r}"


def _target(target: float, container_concurrency: int) -> float:
    """Return the requests per instance: the annotation, but never more than containerConcurrency allows."""
    if not container_concurrency:
        return target or _DEFAULT_TOTAL
    return min(target, container_concurrency) if target else float(container_concurrency)


class _Reader:
    """Reads annotations that are within their bounds, in the spelling of today or the older one."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations

    def _text(self, name: str) -> str | None:
        return next((text for _, text in spellings(self._annotations, name)), None)

    def integer(self, name: str, default: int) -> int:
        text = self._text(name)
        return default if text is None else int(text)

    def number(self, name: str, default: float) -> float:
        text = self._text(name)
        return default if text is None else float(text)

    def duration(self, name: str, default_s: float) -> float:
        text = self._text(name)
        return default_s if text is None else parse_go(text)
