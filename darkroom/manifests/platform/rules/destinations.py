"""Where events go: subscribers, sinks, dead-letter sinks, and references to channels and configurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from darkroom.manifests.platform.bundle import EVENTING, FLOWS, MESSAGING, Bundle, Manifest
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.filters import GOOD as GOOD_TRIGGER
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_FLOW_PARTS = {"Sequence": "steps", "Parallel": "branches"}
_SOURCES = {"PingSource", "SinkBinding", "ApiServerSource", "ContainerSource"}
_SUBSCRIPTION = """\
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: resize}
spec:
  channel: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel, name: events}
  subscriber: {ref: {apiVersion: v1, kind: Service, name: resize}}
"""


@rule(
    "destination",
    Severity.ERROR,
    "a destination is incomplete or not valid",
    on_the_cluster="The webhook refuses the manifest.",
    fix="Set `ref` with apiVersion, kind and name; or an absolute `uri`; or both, with a path as the `uri`.",
    bad=GOOD_TRIGGER.replace('{uri: "http://resize.default.svc.cluster.local"}', "{}"),
    good=GOOD_TRIGGER,
)
def destination(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest in bundle.manifests:
        for path, required in _destinations(manifest):
            value = manifest.get(*path)
            if value is None and not required:
                continue
            for below, message in _destination_problems(value, path[-1]):
                yield manifest, (*path, *below), f"{message} ({manifest.kind} {manifest.name})"


def _destinations(manifest: Manifest) -> Iterator[tuple[FieldPath, bool]]:
    """The paths of a manifest's destinations, each with whether it is required."""
    dead_letters: FieldPath = ("spec", "delivery", "deadLetterSink")
    if manifest.is_a(EVENTING, "Trigger"):
        yield ("spec", "subscriber"), True
        yield dead_letters, False
    elif manifest.is_a(MESSAGING, "Subscription"):
        yield ("spec", "subscriber"), True
        yield dead_letters, False
        if manifest.mapping("spec", "reply"):
            yield ("spec", "reply"), False
    elif manifest.is_a(EVENTING, "Broker") or manifest.is_a(MESSAGING, "Channel"):
        yield dead_letters, False
    elif manifest.is_a(FLOWS, "Sequence"):
        for path, _ in manifest.items("spec", "steps"):
            yield path, True
            yield (*path, "delivery", "deadLetterSink"), False
        yield ("spec", "reply"), False
    elif manifest.is_a(FLOWS, "Parallel"):
        for path, _ in manifest.items("spec", "branches"):
            yield (*path, "subscriber"), True
            yield from (((*path, *name), False) for name in (("filter",), ("reply",), ("delivery", "deadLetterSink")))
        yield ("spec", "reply"), False
    elif manifest.kind in _SOURCES and manifest.api_version.startswith("sources.knative.dev/"):
        yield ("spec", "sink"), True


def _destination_problems(value: Any, name: str | int) -> Iterator[tuple[FieldPath, str]]:
    if value is not None and not isinstance(value, dict):
        return  # field-value reports it.
    reference, uri = (value or {}).get("ref"), (value or {}).get("uri")
    address = urlsplit(str(uri)) if uri is not None else None
    if reference is None and address is None:
        yield (), f"{name} requires ref or uri, has neither"
    elif reference is not None and address is not None and address.scheme:
        yield ("uri",), f"with ref, uri must be a path, was {uri!r}"
    elif reference is None and address is not None and not (address.scheme and address.netloc):
        yield ("uri",), f"without ref, uri must be absolute, such as http://host/path, was {uri!r}"
    elif address is None:
        yield from ((("ref", *below), message) for below, message in reference_problems(reference))
    certificates = (value or {}).get("CACerts")
    if isinstance(certificates, str) and address is not None and "BEGIN CERTIFICATE" not in certificates:
        yield ("CACerts",), "CACerts must be a certificate in PEM"


def reference_problems(reference: Any) -> Iterator[tuple[FieldPath, str]]:
    if not isinstance(reference, dict):
        return
    missing = [name for name in ("apiVersion", "kind", "name") if not reference.get(name)]
    if missing:
        yield (), f"a reference must have {', '.join(missing)}"
    if reference.get("group"):
        yield ("group",), "group requires the feature kreference-group; use apiVersion"


@rule(
    "reference",
    Severity.ERROR,
    "a reference to a channel or a configuration is incomplete",
    on_the_cluster="The webhook refuses the manifest.",
    fix="apiVersion, kind and name; a Subscription's channel is in its own namespace.",
    bad=_SUBSCRIPTION.replace(", name: events", ""),
    good=_SUBSCRIPTION,
)
def reference(bundle: Bundle) -> Iterator[RuleViolation]:
    for broker in bundle.brokers:
        for below, message in reference_problems(broker.get("spec", "config")):
            yield broker, ("spec", "config", *below), message
    for subscription in bundle.of_kind(MESSAGING, "Subscription"):
        channel = subscription.get("spec", "channel")
        if not channel:
            yield subscription, ("spec",), f"Subscription {subscription.name} has no channel"
        for below, message in reference_problems(channel) if channel else ():
            yield subscription, ("spec", "channel", *below), message
        if isinstance(channel, dict) and channel.get("namespace"):
            message = "a channel in another namespace requires the feature cross-namespace-event-links"
            yield subscription, ("spec", "channel", "namespace"), message
    for flow, parts in ((flow, _FLOW_PARTS[flow.kind]) for flow in bundle.of_kind(FLOWS, *_FLOW_PARTS)):
        if not flow.get("spec", parts):
            yield flow, ("spec",), f"{flow.kind} {flow.name} has no {parts}"
    for channel in [*bundle.of_kind(MESSAGING, "Channel"), *bundle.of_kind(FLOWS, *_FLOW_PARTS)]:
        template = channel.get("spec", "channelTemplate")
        missing = [name for name in ("apiVersion", "kind") if isinstance(template, dict) and not template.get(name)]
        if missing:
            yield channel, ("spec", "channelTemplate"), f"the channelTemplate must have {' and '.join(missing)}"
        if channel.get("spec", "subscribers"):
            yield channel, ("spec", "subscribers"), "subscribers are set by the controller; write Subscriptions"
