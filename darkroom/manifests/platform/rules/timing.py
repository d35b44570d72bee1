"""Time limits, of which each must outlast the previous one, and events in flight compared with a function's capacity.

JOB_TIMEOUT < timeoutSeconds < delivery timeout < ackWait
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from darkroom.diagnosis.triggers import MAX_ACK_PENDING_FIX, max_ack_pending_low
from darkroom.manifests.platform.bundle import Bundle, Manifest, seconds, whole
from darkroom.manifests.platform.limits import DEFAULT_TIMEOUT_S
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.channel import GOOD as GOOD_CHANNEL
from darkroom.manifests.platform.rules.delivery import GOOD as GOOD_TRIGGER
from darkroom.manifests.platform.severity import Severity

DEFAULT_ACK_WAIT_S = 30.0
DEFAULT_MAX_ACK_PENDING = 1000
MAX_IN_FLIGHT_FACTOR = 10
"""A multiple of the capacity. Twice the capacity keeps a function busy; beyond this factor, waiting events time out."""
_OURS = ("JOB_TIMEOUT", "CLOUD_RUN_TIMEOUT_SECONDS")

_FUNCTION = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    metadata:
      annotations: {autoscaling.knative.dev/max-scale: "10"}
    spec:
      containerConcurrency: 2
      timeoutSeconds: 50
      containers:
        - image: example.com/resize:1.0.0
          env: [{name: JOB_TIMEOUT, value: 30s}]
"""
_BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: darkroom}
spec: {config: {apiVersion: v1, kind: ConfigMap, name: broker}}
"""
GOOD = "---\n".join([_FUNCTION, GOOD_TRIGGER, _BROKER, GOOD_CHANNEL])


@dataclass(frozen=True, kw_only=True)
class Path:
    """A Trigger with its function and its channel."""

    trigger: Manifest
    function: Manifest
    channel: Manifest | None

    @property
    def delivery_timeout_s(self) -> float | None:
        return seconds(self.trigger.get("spec", "delivery", "timeout"))

    @property
    def ack_wait_s(self) -> float:
        if self.delivery_timeout_s is not None:
            return self.delivery_timeout_s + 0.5
        return seconds(self._consumer_setting("ackWait")) or DEFAULT_ACK_WAIT_S

    @property
    def timeout_s(self) -> float:
        return revision_timeout_s(self.function)

    @property
    def max_ack_pending(self) -> int:
        return whole(self._consumer_setting("maxAckPending")) or DEFAULT_MAX_ACK_PENDING

    def _consumer_setting(self, name: str) -> object:
        return self.channel.get("spec", "consumerConfigTemplate", name) if self.channel is not None else None

    @property
    def capacity(self) -> int | None:
        """The most events that the function processes at once; None if there is no limit."""
        concurrency = whole(self.function.get("spec", "template", "spec", "containerConcurrency")) or 0
        annotations = self.function.mapping("spec", "template", "metadata", "annotations")
        scale = whole(annotations.get("autoscaling.knative.dev/max-scale")) or 0
        return concurrency * scale or None


def revision_timeout_s(function: Manifest) -> float:
    return float(whole(function.get("spec", "template", "spec", "timeoutSeconds")) or DEFAULT_TIMEOUT_S)


def paths(bundle: Bundle) -> Iterator[Path]:
    for trigger in bundle.triggers:
        function = bundle.subscriber_of(trigger)
        if function is not None and bundle.is_jetstream(trigger):
            yield Path(trigger=trigger, function=function, channel=bundle.channel_of(trigger))


@rule(
    "job-timeout",
    Severity.ERROR,
    "a job's own timeout is not below its revision's",
    on_the_cluster="Serving cuts off the request (504) before the function has ended the job itself: the event is "
    "delivered again while the first attempt may still run.",
    fix="Set JOB_TIMEOUT (or CLOUD_RUN_TIMEOUT_SECONDS) below timeoutSeconds, with room for a cold start.",
    bad=GOOD.replace("value: 30s", "value: 50s"),
    good=GOOD,
)
def job_timeout(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for name in _OURS:
            job_s = seconds(function.variable(name))
            limit_s = revision_timeout_s(function)
            if job_s is not None and job_s >= limit_s:
                path = ("spec", "template", "spec", "timeoutSeconds")
                yield function, path, f"{name} of {function.name} is {job_s:g} s, its timeoutSeconds {limit_s:g}"


@rule(
    "delivery-below-revision",
    Severity.ERROR,
    "a delivery times out before the function's revision does",
    on_the_cluster="The dispatcher gives up while the function is still working, and delivers the event again to "
    "another instance: it is processed twice, and perhaps never acked.",
    fix="Set `delivery.timeout` above the subscriber's timeoutSeconds (300 if it is not set).",
    bad=GOOD.replace("timeoutSeconds: 50", "timeoutSeconds: 60"),
    good=GOOD,
)
def delivery_timeout(bundle: Bundle) -> Iterator[RuleViolation]:
    for path in paths(bundle):
        delivery_s = path.delivery_timeout_s
        if delivery_s is not None and delivery_s <= path.timeout_s:
            message = (
                f"{path.function.name} has {path.timeout_s:g} s, its Trigger {path.trigger.name} waits {delivery_s:g}"
            )
            yield path.trigger, ("spec", "delivery", "timeout"), message


@rule(
    "ack-wait",
    Severity.ERROR,
    "a consumer's ackWait is shorter than the function may take",
    on_the_cluster="The event is delivered again while it is still being processed. Of 150 one-second events with the "
    "defaults, 67 ran twice because they had queued for 30 s.",
    fix="Set the Trigger's `delivery.timeout` (ackWait is that plus 0.5 s), or `ackWait` in the channel's template.",
    bad=GOOD.replace("    timeout: PT60S\n", "").replace("ackWait: 120s", "ackWait: 30s"),
    good=GOOD,
)
def ack_wait(bundle: Bundle) -> Iterator[RuleViolation]:
    for path in paths(bundle):
        if path.delivery_timeout_s is None and path.ack_wait_s <= path.timeout_s:
            message = f"ackWait is {path.ack_wait_s:g} s, {path.function.name} may take {path.timeout_s:g}"
            yield path.trigger, ("spec", "delivery"), message


@rule(
    "backoff-outlives-ack-wait",
    Severity.WARNING,
    "a backoff is longer than the consumer's ackWait",
    on_the_cluster="A message that waits for its backoff still counts towards maxAckPending; after ackWait, JetStream "
    "delivers it again, to the next receiver.",
    fix="Use a smaller `backoffDelay`, fewer retries or a longer timeout.",
    bad=GOOD.replace("backoffDelay: PT1S", "backoffDelay: PT20S"),
    good=GOOD,
)
def backoff(bundle: Bundle) -> Iterator[RuleViolation]:
    for path in paths(bundle):
        delivery = path.trigger.get("spec", "delivery")
        if not isinstance(delivery, dict):
            continue
        retries, delay_s = whole(delivery.get("retry")) or 0, seconds(delivery.get("backoffDelay")) or 0
        exponential = delivery.get("backoffPolicy") == "exponential"
        longest_s = delay_s * (2 ** max(retries - 1, 0) if exponential else max(retries - 1, 0))
        if retries and longest_s > path.ack_wait_s:
            message = (
                f"the last backoff of Trigger {path.trigger.name} is {longest_s:g} s, its ackWait {path.ack_wait_s:g}"
            )
            yield path.trigger, ("spec", "delivery", "backoffDelay"), message


@rule(
    "max-ack-pending-high",
    Severity.WARNING,
    "far more events are delivered at once than the function can process",
    on_the_cluster="A push consumer sends up to maxAckPending events at once (1000 by default). Events beyond the "
    "function's capacity wait in the activator while their timeouts run, are cut off, and are delivered again.",
    fix="maxAckPending about twice max-scale x containerConcurrency.",
    bad=GOOD.replace("maxAckPending: 40", "maxAckPending: 1000"),
    good=GOOD,
)
def too_many(bundle: Bundle) -> Iterator[RuleViolation]:
    for path in paths(bundle):
        capacity = path.capacity
        if path.channel is not None and capacity is not None and path.max_ack_pending > MAX_IN_FLIGHT_FACTOR * capacity:
            message = (
                f"maxAckPending is {path.max_ack_pending}, {path.function.name} processes {capacity} at once: "
                f"{ceil(path.max_ack_pending / capacity)} rounds"
            )
            yield path.channel, ("spec", "consumerConfigTemplate"), message


@rule(
    "max-ack-pending-low",
    Severity.WARNING,
    "fewer events are delivered at once than the function can process",
    on_the_cluster="Instances that max-scale allows are never needed, because the consumer holds events back.",
    fix=MAX_ACK_PENDING_FIX,
    bad=GOOD.replace("maxAckPending: 40", "maxAckPending: 5"),
    good=GOOD,
)
def too_few(bundle: Bundle) -> Iterator[RuleViolation]:
    for path in paths(bundle):
        capacity = path.capacity
        if path.channel is not None and capacity is not None and path.max_ack_pending < capacity:
            message = max_ack_pending_low(path.max_ack_pending, path.function.name, capacity)
            yield path.channel, ("spec", "consumerConfigTemplate", "maxAckPending"), message


@rule(
    "no-max-scale",
    Severity.WARNING,
    "a function that gets events from JetStream has no max-scale",
    on_the_cluster="The dispatcher sends up to maxAckPending events at once, and the autoscaler starts as many "
    "instances as they need: a backlog becomes a thousand pods, and as many connections to the services they use.",
    fix="Set autoscaling.knative.dev/max-scale.",
    bad=GOOD.replace('autoscaling.knative.dev/max-scale: "10"', 'autoscaling.knative.dev/min-scale: "0"'),
    good=GOOD,
)
def no_max_scale(bundle: Bundle) -> Iterator[RuleViolation]:
    seen = set()
    for path in paths(bundle):
        annotations = path.function.mapping("spec", "template", "metadata", "annotations")
        key = (path.function.namespace, path.function.name)
        if not whole(annotations.get("autoscaling.knative.dev/max-scale")) and key not in seen:
            seen.add(key)
            yield path.function, ("spec", "template"), f"{path.function.name} has no max-scale"
