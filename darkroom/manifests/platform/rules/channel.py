"""JetStream streams and consumers, as configured in a channel or in the template in a Broker's ConfigMap."""

from __future__ import annotations

import re
from collections.abc import Iterator

from darkroom.events.durations import parse_go
from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import Bundle, whole
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

GOOD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: broker}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream:
        config:
          retention: Interest
          storage: File
          maxAge: 168h
          discard: New
      consumerConfigTemplate:
        consumerType: Push
        deliverPolicy: New
        ackWait: 120s
        maxAckPending: 40
"""
_CHANNEL = """\
apiVersion: messaging.knative.dev/v1alpha1
kind: NatsJetStreamChannel
metadata: {name: events}
spec:
  stream: {config: {retention: Interest, maxAge: 168h, discard: New}}
  consumerConfigTemplate: {deliverPolicy: New}
"""
_CONFIG: FieldPath = ("spec", "stream", "config")
_CONSUMER: FieldPath = ("spec", "consumerConfigTemplate")
_LIMITS = ("maxAge", "maxBytes", "maxMsgs")
STREAM_SETTINGS = {
    "additionalSubjects", "retention", "maxConsumers", "maxMsgs", "maxBytes", "discard", "maxAge", "maxMsgSize",
    "storage", "replicas", "noAck", "duplicateWindow", "placement", "mirror", "sources",
}  # fmt: skip


@rule(
    "stream-grows",
    Severity.ERROR,
    "a stream has no limit",
    on_the_cluster="With the default retention (Limits) and no maxAge, maxBytes or maxMsgs, every event is kept "
    "forever. When the disk is full, no event can be published.",
    fix="Set `retention: Interest` and a `maxAge` under `spec.stream.config`.",
    bad=GOOD.replace("          maxAge: 168h\n", ""),
    good=GOOD,
)
def grows(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        if not any(channel.get(*_CONFIG, name) for name in _LIMITS):
            yield channel, _CONFIG, "the stream has no maxAge, maxBytes or maxMsgs"


@rule(
    "stream-settings-ignored",
    Severity.ERROR,
    "stream settings are next to `config`, not in it",
    on_the_cluster="Directly under spec.stream they are silently ignored: the stream has the defaults, which set no "
    "limit at all.",
    fix="Move them under `spec.stream.config`.",
    bad=GOOD.replace("          maxAge: 168h\n", "").replace(
        "        config:", "        maxAge: 168h\n        config:"
    ),
    good=GOOD,
)
def ignored(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        stream = channel.get("spec", "stream")
        for name in sorted(set(stream) & STREAM_SETTINGS) if isinstance(stream, dict) else ():
            yield channel, ("spec", "stream", name), f"{name} directly under spec.stream has no effect"


@rule(
    "pull-consumer",
    Severity.ERROR,
    "a channel uses pull consumers",
    on_the_cluster="The second Trigger of the Broker is never served.",
    fix="Set `consumerType: Push`.",
    bad=GOOD.replace("Push", "Pull"),
    good=GOOD,
)
def pull(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        # Only this spelling: any other word means Push, which the rule channel-word reports.
        if channel.get(*_CONSUMER, "consumerType") == "Pull":
            yield channel, (*_CONSUMER, "consumerType"), "pull consumers serve one Trigger only"


@rule(
    "deliver-policy",
    Severity.WARNING,
    "a new Trigger receives the whole history",
    on_the_cluster="The default deliverPolicy is All: a Trigger that is added or recreated gets every event that is "
    "still in the stream, all at once.",
    fix="Set `deliverPolicy: New`.",
    bad=GOOD.replace("        deliverPolicy: New\n", ""),
    good=GOOD,
)
def deliver_policy(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        if channel.get(*_CONSUMER, "deliverPolicy") in (None, "", "All"):
            yield channel, _CONSUMER, "deliverPolicy is All, which is the default"


@rule(
    "retention",
    Severity.WARNING,
    "events stay in the stream after every Trigger has acked them",
    on_the_cluster="With retention Limits the stream is as long as its limits allow, whatever was acked. Its length "
    "says nothing about the backlog, and with `discard: Old` unacked events are dropped to keep acked ones.",
    fix="Set `retention: Interest`: an event is removed when every Trigger has acked it.",
    bad=GOOD.replace("Interest", "Limits"),
    good=GOOD,
)
def retention(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        if channel.get(*_CONFIG, "retention") in (None, "", "Limits"):
            yield channel, _CONFIG, "retention is Limits, which is the default"


@rule(
    "work-queue-retention",
    Severity.ERROR,
    "a Broker's stream has retention Work",
    on_the_cluster="A work queue allows one consumer per subject, and a channel has one subject: the second Trigger's "
    "consumer is refused.",
    fix="Set `retention: Interest`.",
    bad=GOOD.replace("Interest", "Work"),
    good=GOOD,
)
def work_queue(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        if channel.get(*_CONFIG, "retention") == "Work":
            yield channel, (*_CONFIG, "retention"), "only one Trigger can be served"


@rule(
    "discard-old",
    Severity.WARNING,
    "a full stream drops what was accepted",
    on_the_cluster="With maxBytes or maxMsgs and discard Old (the default), the oldest events are dropped when the "
    "stream is full, acked or not. Their senders had received a 202.",
    fix="Set `discard: New`: the ingress then refuses new events, and the sender is informed.",
    bad=GOOD.replace("          discard: New\n", "          maxBytes: 1000000000\n"),
    good=GOOD,
)
def discard(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        limited = [name for name in ("maxBytes", "maxMsgs") if (whole(channel.get(*_CONFIG, name)) or 0) > 0]
        if limited and channel.get(*_CONFIG, "discard") != "New":
            yield channel, (*_CONFIG, limited[0]), f"{' and '.join(limited)} with discard Old drops unacked events"


@rule(
    "memory-storage",
    Severity.WARNING,
    "a stream is stored in memory",
    on_the_cluster="A restart of NATS loses every event, and the Broker stays Ready while its ingress "
    "answers 500 until the dispatcher is restarted.",
    fix="Set `storage: File`, on a persistent volume.",
    bad=GOOD.replace("storage: File", "storage: Memory"),
    good=GOOD,
)
def memory(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        if channel.get(*_CONFIG, "storage") == "Memory":
            yield channel, (*_CONFIG, "storage"), "the stream does not survive a restart"


@rule(
    "even-replicas",
    Severity.WARNING,
    "a stream has an even number of replicas",
    on_the_cluster="Two replicas need both for every event, four need three. The additional server can fail, but does "
    "not increase the number of failures that the stream survives.",
    fix="Use one or three replicas.",
    bad=GOOD.replace("storage: File", "storage: File\n          replicas: 2"),
    good=GOOD,
)
def replicas(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        count = whole(channel.get(*_CONFIG, "replicas"))
        if count is not None and count % 2 == 0:
            yield channel, (*_CONFIG, "replicas"), f"{count} replicas survive no more than {count - 1}"


_WORDS: dict[FieldPath, tuple[str, ...]] = {
    (*_CONFIG, "retention"): ("Limits", "Interest", "Work"),
    (*_CONFIG, "discard"): ("Old", "New"),
    (*_CONFIG, "storage"): ("File", "Memory"),
    (*_CONSUMER, "deliverPolicy"): ("All", "Last", "New", "ByStartSequence", "ByStartTime"),
    (*_CONSUMER, "replayPolicy"): ("Instant", "Original"),
    (*_CONSUMER, "consumerType"): ("Push", "Pull"),
}
"""The first word of each is the default that the controller uses for an unknown word."""


@rule(
    "channel-word",
    Severity.WARNING,
    "a word that the JetStream channel does not know",
    on_the_cluster="It is accepted, and the default is silently used: `retention: interest` means Limits, which keeps "
    "every event.",
    fix="Use the spelling in the message, with a capital letter.",
    bad=GOOD.replace("Interest", "interest"),
    good=GOOD,
)
def words(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        for path, known in _WORDS.items():
            value = channel.get(*path)
            default = "Push" if path[-1] == "consumerType" else known[0]
            if isinstance(value, str) and value and value not in known:
                message = f"{path[-1]} {value!r} is treated as {default}{suggestion(value, known)}"
                yield channel, path, message


@rule(
    "channel-duration",
    Severity.ERROR,
    "a duration or a time in a channel that cannot be parsed",
    on_the_cluster="The webhook refuses the channel; a Broker whose template has it never becomes Ready.",
    fix="Write durations as Go does (30s, 2m, 168h; there are no days), times as 2026-01-31T12:00:00Z.",
    bad=GOOD.replace("168h", "7d"),
    good=GOOD,
)
def durations(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        for path in _DURATIONS:
            text = channel.get(*path)
            try:
                parse_go(text if isinstance(text, str) else "0")
            except ValueError as exc:
                yield channel, path, f"{path[-1]} {exc}"
        for path in ((*_CONSUMER, "optStartTime"), (*_CONFIG, "mirror", "optStartTime")):
            text = channel.get(*path)
            if isinstance(text, str) and not _RFC3339.fullmatch(text):
                yield channel, path, f"{path[-1]} must look like 2026-01-31T12:00:00Z, was {text!r}"


_DURATIONS: tuple[FieldPath, ...] = (
    (*_CONFIG, "maxAge"),
    (*_CONFIG, "duplicateWindow"),
    (*_CONSUMER, "ackWait"),
    (*_CONSUMER, "fetchMaxWait"),
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@rule(
    "channel-scope",
    Severity.ERROR,
    "a channel's scope is neither cluster nor namespace",
    on_the_cluster="The webhook refuses the channel.",
    fix="eventing.knative.dev/scope: cluster (the default) or namespace.",
    bad=_CHANNEL.replace("{name: events}", "{name: events, annotations: {eventing.knative.dev/scope: pod}}"),
    good=_CHANNEL,
)
def scope(bundle: Bundle) -> Iterator[RuleViolation]:
    for channel in bundle.channels:
        value = channel.mapping("metadata", "annotations").get("eventing.knative.dev/scope")
        if value not in (None, "cluster", "namespace"):
            path = ("metadata", "annotations", "eventing.knative.dev/scope")
            yield channel, path, f"scope must be cluster or namespace, was {value!r}"
