"""Event routing: filters that nothing passes, events that no Trigger receives, payloads that are too large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

MAX_PAYLOAD_BYTES = 700_000
"""NATS accepts 1 MB including headers, and binary data is sent as base64."""
_TRIGGER = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: resize}
spec:
  broker: darkroom
  subscriber: {uri: "http://resize.default.svc.cluster.local"}
"""
_FILTERS = "  filters: [{exact: {type: resize.requested}}, {exact: {size: large}}]\n"
_BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: darkroom, annotations: {eventing.knative.dev/broker.class: NatsJetStreamBroker}}
---
"""
_PING = """\
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {name: tick}
spec:
  schedule: "* * * * *"
  data: "{}"
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: darkroom}}
"""


@rule(
    "filter-contradiction",
    Severity.ERROR,
    "a Trigger's filters exclude each other",
    on_the_cluster="All elements of `filters` must match, and an attribute cannot have two values. The Trigger is "
    "Ready and delivers nothing.",
    fix="Put alternatives under one `any`.",
    bad=_TRIGGER + _FILTERS.replace("size: large", "type: crop.requested"),
    good=_TRIGGER + _FILTERS,
)
def contradiction(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        values: dict[str, object] = {}
        for path, element in trigger.items("spec", "filters"):
            exact = element.get("exact")
            for name, value in exact.items() if isinstance(exact, dict) else ():
                if values.setdefault(name, value) != value:
                    yield trigger, path, f"{name} cannot be both {values[name]!r} and {value!r}"
            for name, value in _denied(element).items():
                if values.get(name) == value:
                    yield trigger, path, f"{name} must be {value!r} and must not be {value!r}"


def _denied(element: dict[str, Any]) -> dict[str, Any]:
    negated = element.get("not")
    exact = negated.get("exact") if isinstance(negated, dict) else None
    return exact if isinstance(exact, dict) and len(exact) == 1 else {}


@rule(
    "filter-ignored",
    Severity.WARNING,
    "a Trigger has both filter and filters",
    on_the_cluster="`filters` takes precedence, and `filter` is ignored.",
    fix="Keep `filters`.",
    bad=_TRIGGER + _FILTERS + "  filter: {attributes: {type: resize.requested}}\n",
    good=_TRIGGER + _FILTERS,
)
def both(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        if trigger.get("spec", "filter") and trigger.get("spec", "filters"):
            yield trigger, ("spec", "filter"), f"the filter of Trigger {trigger.name} is ignored"


@rule(
    "filter-missing",
    Severity.WARNING,
    "a Trigger delivers every event",
    on_the_cluster="It also delivers its subscriber's own replies: a function that answers with an event is called "
    "with that event again, until knativebrokerttl runs out after 255 rounds.",
    fix="Filter on `type`.",
    bad=_TRIGGER,
    good=_TRIGGER + _FILTERS,
)
def unfiltered(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        if not trigger.get("spec", "filters") and not trigger.get("spec", "filter", "attributes"):
            yield trigger, ("spec",), f"Trigger {trigger.name} has no filter"


@rule(
    "filter-matches-nothing",
    Severity.WARNING,
    "a Trigger waits for an event that nobody emits",
    on_the_cluster="It is Ready and delivers nothing. Checked only if `--event` names the emitted types.",
    fix="Correct the type, or name it with --event.",
    bad=_TRIGGER + _FILTERS.replace("resize.requested", "resize.request"),
    good=_TRIGGER + _FILTERS,
)
def unmatched(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers if bundle.events else ():
        wanted = wanted_types(trigger)
        if wanted and not wanted & bundle.events:
            yield (
                trigger,
                ("spec",),
                f"nobody emits {' or '.join(sorted(wanted))}, which Trigger {trigger.name} waits for",
            )


@rule(
    "event-untaken",
    Severity.WARNING,
    "an event that no Trigger receives",
    on_the_cluster="With retention Interest it is removed as soon as it is published; with Limits it fills the stream. "
    "Checked only if `--event` names the emitted types. Do not name an event there that is meant for later "
    "subscribers.",
    fix="Add a Trigger, or correct the type in one.",
    bad=_TRIGGER + _FILTERS.replace("resize.requested", "crop.requested"),
    good=_TRIGGER + _FILTERS,
)
def untaken(bundle: Bundle) -> Iterator[RuleViolation]:
    if not bundle.events or not bundle.triggers:
        return
    taken: set[str] = set()
    for trigger in bundle.triggers:
        wanted = wanted_types(trigger)
        if not wanted:
            return
        taken |= wanted
    for event in sorted(bundle.events - taken):
        yield bundle.triggers[0], (), f"no Trigger receives {event}"


def wanted_types(trigger: Manifest) -> set[str]:
    """The exact types in a Trigger's filter; empty if it does not filter on exact types."""
    types = {
        str(element["exact"]["type"])
        for _, element in trigger.items("spec", "filters")
        if isinstance(element.get("exact"), dict) and "type" in element["exact"]
    }
    attributes = trigger.get("spec", "filter", "attributes")
    if not trigger.get("spec", "filters") and isinstance(attributes, dict) and attributes.get("type"):
        types.add(str(attributes["type"]))
    return types


@rule(
    "payload-too-large",
    Severity.ERROR,
    "a source's data is larger than NATS accepts",
    on_the_cluster="NATS refuses a message of more than 1 MB, including headers and base64: the Broker's ingress "
    "answers 500 each time. Even 900 KB of binary data is too much.",
    fix="Put the data into storage and send its key.",
    bad=_BROKER + _PING.replace('"{}"', '"' + "x" * (MAX_PAYLOAD_BYTES + 1) + '"'),
    good=_BROKER + _PING,
)
def payload(bundle: Bundle) -> Iterator[RuleViolation]:
    for source in bundle.of_kind("sources.knative.dev/", "PingSource") if bundle.names_jetstream else ():
        for name in ("data", "dataBase64"):
            size_bytes = len(str(source.get("spec", name) or "").encode())
            if size_bytes > MAX_PAYLOAD_BYTES:
                yield source, ("spec", name), f"{name} has {size_bytes} bytes, more than {MAX_PAYLOAD_BYTES}"
