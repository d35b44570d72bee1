"""Delivery blocks: what is retried, after how long, and where undeliverable events go."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import (
    CHANNEL_BASED,
    EVENTING,
    FLOWS,
    JETSTREAM_CHANNEL,
    MESSAGING,
    NATIVE,
    Bundle,
    Manifest,
    broker_class,
    whole,
)
from darkroom.manifests.platform.durations import period_tenths
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_CHANNELS = {"Channel", JETSTREAM_CHANNEL}
_TRIGGER = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: resize}
spec:
  broker: darkroom
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}
"""
_COMPLETE = """\
  delivery:
    retry: 3
    backoffPolicy: exponential
    backoffDelay: PT1S
    timeout: PT60S
    deadLetterSink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: recovery}}
"""


def without(line: str) -> str:
    """The example without one line of its delivery block."""
    return _TRIGGER + "".join(each for each in _COMPLETE.splitlines(keepends=True) if line not in each)


GOOD = _TRIGGER + _COMPLETE


_NATIVE = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: darkroom
  annotations: {eventing.knative.dev/broker.class: NatsJetStreamBroker}
"""


def on_jetstream(trigger: str) -> str:
    """The example with a Broker that makes it one of JetStream."""
    return f"{_NATIVE}---\n{trigger}"


def delivering(bundle: Bundle) -> Iterator[tuple[Manifest, FieldPath]]:
    """Every place that may have a delivery block, with the block's path."""
    found = [*bundle.of_kind(EVENTING, "Trigger", "Broker"), *bundle.of_kind(MESSAGING, "Subscription", "Channel")]
    for manifest in [*found, *bundle.channels]:
        yield manifest, ("spec", "delivery")
    for kind, parts in (("Sequence", "steps"), ("Parallel", "branches")):
        for flow in bundle.of_kind(FLOWS, kind):
            for path, _ in flow.items("spec", parts):
                yield flow, (*path, "delivery")


def blocks(bundle: Bundle) -> Iterator[tuple[Manifest, FieldPath]]:
    """Every delivery block."""
    for manifest, path in delivering(bundle):
        if isinstance(manifest.get(*path), dict):
            yield manifest, path


@rule(
    "delivery-backoff",
    Severity.ERROR,
    "a delivery block has no backoffPolicy or no backoffDelay",
    on_the_cluster="The JetStream dispatcher panics as soon as it reads the block, and every Trigger in the cluster "
    "stops. Checked only where events go over JetStream; elsewhere, retries follow each other without a delay.",
    fix="Set both: `backoffPolicy: exponential` and `backoffDelay: PT1S`.",
    bad=on_jetstream(without("backoffDelay")),
    good=on_jetstream(GOOD),
)
def backoff(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, path in blocks(bundle):
        if not bundle.is_jetstream(manifest):
            continue
        missing = [name for name in ("backoffPolicy", "backoffDelay") if manifest.get(*path, name) is None]
        if missing:
            yield (
                manifest,
                path,
                f"the delivery block of {manifest.kind} {manifest.name} has no {' and no '.join(missing)}",
            )


@rule(
    "dead-letter-sink",
    Severity.WARNING,
    "a Trigger, or a Subscription on JetStream, has no deadLetterSink",
    on_the_cluster="An event that cannot be delivered is dropped after its last retry; only a log line reports it.",
    fix="Set `deadLetterSink` in the Trigger's delivery block, or in that of its (channel-based) Broker.",
    bad=without("deadLetterSink"),
    good=GOOD,
)
def dead_letter_sink(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        if trigger.get("spec", "delivery", "deadLetterSink") is None and not _inherits_sink(bundle, trigger):
            yield trigger, ("spec", "delivery"), f"Trigger {trigger.name} drops what it cannot deliver"
    for manifest, path in delivering(bundle):
        if manifest.kind not in {"Subscription", "Sequence", "Parallel"} or not bundle.is_jetstream(manifest):
            continue
        if manifest.get(*path, "deadLetterSink") is None and not _channel_has_sink(bundle, manifest):
            part = f" ({path[1]}[{path[2]}])" if len(path) > 2 else ""
            yield manifest, path, f"{manifest.kind} {manifest.name}{part} drops what it cannot deliver"


def _channel_has_sink(bundle: Bundle, subscription: Manifest) -> bool:
    """Whether a Subscription inherits the dead-letter sink of its channel."""
    reference = subscription.mapping("spec", "channel")
    name, kind = str(reference.get("name")), str(reference.get("kind"))
    channel = bundle.find(MESSAGING, kind, subscription.namespace, name) if reference else None
    return channel is not None and channel.get("spec", "delivery", "deadLetterSink") is not None


def _inherits_sink(bundle: Bundle, trigger: Manifest) -> bool:
    broker = bundle.broker_of(trigger)
    return (
        broker is not None
        and broker_class(broker) == CHANNEL_BASED
        and broker.get("spec", "delivery", "deadLetterSink") is not None
    )


@rule(
    "delivery-retry",
    Severity.WARNING,
    "a Trigger does not retry",
    on_the_cluster="If a function restarts, is cold or answers 503 once, the event is lost or goes to the dead "
    "letters. A Trigger's delivery block replaces the Broker's as a whole, including its retry.",
    fix="Set `retry` in the Trigger's delivery block.",
    bad=without("retry"),
    good=GOOD,
)
def retry(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        own = trigger.get("spec", "delivery")
        broker = bundle.broker_of(trigger)
        inherited = broker.get("spec", "delivery", "retry") if broker is not None and not own else None
        if not whole((own or {}).get("retry") if isinstance(own, dict) else inherited):
            yield trigger, ("spec", "delivery"), f"Trigger {trigger.name} has no retry"


@rule(
    "delivery-timeout",
    Severity.WARNING,
    "a delivery block has no timeout",
    on_the_cluster="On JetStream a delivery is cut off 0.2 s before the consumer's ackWait ends, after 29.8 s by "
    "default. The event is delivered again while the first delivery still runs.",
    fix="Set `timeout` above the subscriber's timeoutSeconds; ackWait becomes that plus 0.5 s.",
    bad=on_jetstream(without("timeout")),
    good=on_jetstream(GOOD),
)
def timeout(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, path in blocks(bundle):
        if (
            manifest.kind not in {"Broker", *_CHANNELS}
            and manifest.get(*path, "timeout") is None
            and bundle.is_jetstream(manifest)
        ):
            yield manifest, path, f"the delivery block of {manifest.kind} {manifest.name} has no timeout"


@rule(
    "delivery-duration",
    Severity.ERROR,
    "a duration in a delivery block is not valid",
    on_the_cluster="The webhook refuses the manifest. It reads a timeout below a tenth of a second as 0, which it also "
    "refuses; a negative one would end every delivery before it begins.",
    fix="Use a form such as PT1S, PT0.5S or PT1M30S.",
    bad=GOOD.replace("PT1S", "1s"),
    good=GOOD,
)
def duration(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, path in blocks(bundle):
        for name in ("backoffDelay", "timeout", "retryAfterMax"):
            text = manifest.get(*path, name)
            if isinstance(text, str) and (message := _duration_problem(name, text)) is not None:
                yield manifest, (*path, name), message


def _duration_problem(name: str, text: str) -> str | None:
    tenths = period_tenths(text)
    if tenths is None:
        return f"{name} must be an ISO 8601 duration such as PT1S, was {text!r}"
    if tenths < 0 or (name == "timeout" and tenths == 0):
        return f"{name} must be more than 0, was {text!r}"
    return None


@rule(
    "delivery-value",
    Severity.ERROR,
    "a delivery block has a value that the webhook refuses",
    on_the_cluster="The webhook refuses the manifest.",
    fix="`retry` is at least 0, `backoffPolicy` linear or exponential, `format` binary or json, all in lower case.",
    bad=GOOD.replace("backoffPolicy: exponential", "backoffPolicy: Exponential"),
    good=GOOD,
)
def value(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, path in blocks(bundle):
        retries = manifest.get(*path, "retry")
        if isinstance(retries, int) and retries < 0:
            yield manifest, (*path, "retry"), f"retry must be at least 0, was {retries}"
        for name, words in (("backoffPolicy", ("linear", "exponential")), ("format", ("json", "binary"))):
            word = manifest.get(*path, name)
            if isinstance(word, str) and word not in words:
                message = f"{name} must be {' or '.join(words)}, was {word!r}{suggestion(word, words)}"
                yield manifest, (*path, name), message


@rule(
    "retry-after-ignored",
    Severity.ERROR,
    "a delivery block has retryAfterMax",
    on_the_cluster="The webhook refuses it unless the feature delivery-retryafter is on, and the JetStream dispatcher "
    "ignores Retry-After either way.",
    fix="Remove it and use backoffDelay.",
    bad=GOOD + "    retryAfterMax: PT30S\n",
    good=GOOD,
)
def retry_after(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest, path in blocks(bundle):
        if manifest.get(*path, "retryAfterMax") is not None:
            yield manifest, (*path, "retryAfterMax"), f"{manifest.kind} {manifest.name} sets retryAfterMax"


@rule(
    "native-broker-delivery",
    Severity.ERROR,
    "a NatsJetStreamBroker has a delivery block",
    on_the_cluster="It is ignored: a Trigger without its own block gets one attempt and no dead letter.",
    fix="Move the block into each Trigger.",
    bad=_NATIVE + "spec:\n" + _COMPLETE,
    good=_NATIVE,
)
def native_delivery(bundle: Bundle) -> Iterator[RuleViolation]:
    for broker in bundle.brokers:
        if broker_class(broker) == NATIVE and broker.get("spec", "delivery") is not None:
            yield broker, ("spec", "delivery"), f"the delivery block of Broker {broker.name} has no effect"


@rule(
    "client-errors-lost",
    Severity.WARNING,
    "an event goes over JetStream to an external address",
    on_the_cluster="A 4xx answer (except 408, 409 and 429) ends the delivery at once and, over JetStream, without a "
    "dead letter: the event is lost. You do not control whether an external service answers 4xx.",
    fix="Put a function in front of it that answers 2xx or 503, never 4xx.",
    bad=on_jetstream(
        GOOD.replace(
            "{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}",
            "{uri: https://example.com/hook}",
        )
    ),
    good=on_jetstream(GOOD),
)
def client_errors(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        subscriber = trigger.get("spec", "subscriber")
        uri = subscriber.get("uri") if isinstance(subscriber, dict) and subscriber.get("ref") is None else None
        if uri is not None and bundle.is_jetstream(trigger) and "svc.cluster.local" not in str(uri):
            yield (
                trigger,
                ("spec", "subscriber", "uri"),
                f"a 4xx answer from {uri} loses the event of Trigger {trigger.name}",
            )
