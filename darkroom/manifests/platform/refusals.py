"""What the loader of `darkroom up` refuses because a cluster would: the rules of the linter that say so.

Besides, the loader's models refuse what the local runtime cannot do. What loses events on a cluster without being
refused is for the linter alone to say, apart from what the models refuse by themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from darkroom.manifests.errors import Finding
from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.platform.severity import Severity

REFUSALS = (
    "annotation-misplaced",
    "api-version",
    "broker-class-empty",
    "ce-overrides",
    "cesql-syntax",
    "channel-duration",
    "channel-scope",
    "container",
    "delivery-duration",
    "delivery-value",
    "destination",
    "duplicate",
    "field-value",
    "filter-expression",
    "http-route",
    "manifest-head",
    "metadata",
    "ping-data",
    "port",
    "probe",
    "reference",
    "refused-field",
    "reserved-variable",
    "resources",
    "retry-after-ignored",
    "revision-annotation",
    "revision-bounds",
    "revision-name",
    "schedule",
    "sink-binding-subject",
    "source-spec",
    "traffic",
    "trigger-annotation",
    "trigger-broker",
    "unknown-field",
    "volume",
)
"""Rules about what the API server, a webhook or kubectl refuses, or what never gets ready."""
LOSSES = (
    "ack-wait",
    "annotation-unknown",
    "delivery-backoff",
    "delivery-below-revision",
    "filter-contradiction",
    "filter-empty-value",
    "job-timeout",
    "label",
    "native-broker-delivery",
    "original-retention",
    "payload-too-large",
    "pull-consumer",
    "stream-grows",
    "stream-settings-ignored",
    "work-queue-retention",
    "worker-concurrency",
)
"""The other errors: what a cluster accepts, and then loses events or stops."""
STOPPING_LOSSES = frozenset({"delivery-backoff", "stream-settings-ignored"})
"""Those that the loader refuses whatever the models do: by the first a whole cluster stops, the second is refused where
kubectl validates."""


def refusals(bundle: Bundle, left_out: Collection[int] = (), idle: Collection[int] = ()) -> Iterator[Finding]:
    """Yield what a cluster refuses, apart from documents that are left out anyway, by their `id`.

    Of `idle` ones, which do not run either, it does not matter that two are the same.
    """
    for name in REFUSALS:
        skipped = {*left_out, *idle} if name == "duplicate" else left_out
        # What the linter only hints at, because two folders may not belong together, is sure here: all of it is loaded.
        for manifest, path, message, *_ in RULES[name].find_violations(bundle):
            if id(manifest.document) not in skipped:
                yield manifest.document.finding(path, message)


def losses(bundle: Bundle, left_out: Collection[int] = ()) -> Iterator[tuple[str, Finding]]:
    """Yield the other errors of the linter, each with its rule."""
    for name in LOSSES:
        for manifest, path, message, *severity in RULES[name].find_violations(bundle):
            if id(manifest.document) not in left_out and (severity or [RULES[name].severity])[0] is Severity.ERROR:
                yield name, manifest.document.finding(path, message)
