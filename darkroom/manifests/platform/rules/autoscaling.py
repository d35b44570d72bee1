"""Annotations of a revision: the bounds that Serving's webhook enforces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from darkroom.events.durations import parse_go
from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.marks import misspelt
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.serving import GOOD
from darkroom.manifests.platform.scaling import NAMES, NUMBER, PREFIX, Message, scaling_problems
from darkroom.manifests.platform.schema.serving import QUANTITY
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_NETWORKING = "networking.knative.dev/"
_NETWORKING_NAMES = {
    "certificate-class",
    "certificate.class",
    "disable-auto-tls",
    "disable-external-domain-tls",
    "disableAutoTLS",
    "http-protocol",
    "httpOption",
    "ingress-class",
    "ingress.class",
}
_SERVING_DURATIONS = ("serving.knative.dev/progress-deadline",)
_QUEUE = "queue.sidecar.serving.knative.dev/"
_PERCENTAGES = (f"{_QUEUE}resource-percentage", f"{_QUEUE}resourcePercentage")


@rule(
    "revision-annotation",
    Severity.ERROR,
    "an annotation of a revision has a value that Serving refuses",
    on_the_cluster="The webhook refuses the Service.",
    fix="Use a value within the bounds that the message states.",
    bad=GOOD.replace('target-utilization-percentage: "100"', 'target-utilization-percentage: "101"'),
    good=GOOD,
)
def values(bundle: Bundle) -> Iterator[RuleViolation]:
    path: FieldPath = ("spec", "template", "metadata", "annotations")
    for function in bundle.functions:
        annotations = function.mapping(*path)
        for key, message in [*scaling_problems(annotations), *_other_problems(annotations)]:
            yield function, (*path, key), message
        yield from _rollout(function)


def _other_problems(annotations: dict[Any, Any]) -> Iterator[Message]:
    for key, value in annotations.items():
        if not isinstance(key, str) or not isinstance(value, str):
            continue
        if key.startswith(_NETWORKING) and key.removeprefix(_NETWORKING) not in _NETWORKING_NAMES:
            near = suggestion(key.removeprefix(_NETWORKING), _NETWORKING_NAMES)
            yield key, f"a revision has no annotation {key}{near}"
        elif key in _SERVING_DURATIONS:
            yield from ((key, message) for message in _duration_problems(key, value))
        elif key in _PERCENTAGES and not (NUMBER.fullmatch(value) and 0.1 <= float(value) <= 100):
            yield key, f"{key} must be from 0.1 to 100, was {value!r}"
        elif key.startswith(_QUEUE) and key.endswith(("-request", "-limit")) and not _is_quantity(value):
            yield key, f"{key} must look like 100m or 64Mi, was {value!r}"


def _rollout(function: Manifest) -> Iterator[RuleViolation]:
    for key in ("serving.knative.dev/rollout-duration", "serving.knative.dev/rolloutDuration"):
        value = function.mapping("metadata", "annotations").get(key)
        for message in _duration_problems(key, value) if isinstance(value, str) and value else ():
            yield function, ("metadata", "annotations", key), message


def _duration_problems(key: str, value: str) -> Iterator[str]:
    try:
        value_s = parse_go(value) if value else 0.0
    except ValueError as exc:
        yield f"{key} {exc}"
        return
    if value_s < 0 or value_s != int(value_s):
        yield f"{key} must be in whole seconds and not negative, was {value}"


def _is_quantity(value: str) -> bool:
    return re.fullmatch(str(QUANTITY.pattern), value) is not None


@rule(
    "annotation-unknown",
    Severity.ERROR,
    "an autoscaling annotation that Serving does not know",
    on_the_cluster="It is accepted and has no effect. One that resembles no other is a warning: it may be newer.",
    fix="Correct the name.",
    bad=GOOD.replace("target-utilization-percentage", "target-utilisation-percentage"),
    good=GOOD,
)
def unknown(bundle: Bundle) -> Iterator[RuleViolation]:
    path: FieldPath = ("spec", "template", "metadata", "annotations")
    for function in bundle.functions:
        for key in function.mapping(*path):
            name = str(key).removeprefix(PREFIX)
            if str(key).startswith(PREFIX) and name not in NAMES:
                near = misspelt(str(key), [f"{PREFIX}{each}" for each in NAMES])
                severity = Severity.ERROR if near else Severity.WARNING
                yield function, (*path, key), f"there is no annotation {key}{near}", severity
