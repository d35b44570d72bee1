"""What a Broker has between its channel and a Trigger's subscriber: the filter, the TTL, the replies to the Broker.

On a cluster this is a process of its own, `broker-filter`, to which the Trigger's Subscription delivers
(knative/eventing, pkg/broker/filter/filter_handler.go). A Subscription of a channel has nothing of it.
"""

from __future__ import annotations

from dataclasses import replace

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.broker import BrokerAddress, Ingress, has_ttl, inherit_ttl, without_ttl
from darkroom.local.eventing.delivery import Answered
from darkroom.local.eventing.filters import passes
from darkroom.local.eventing.receivers import Receiver
from darkroom.local.eventing.stream import StoredEvent
from darkroom.local.eventing.subscribers import Attempt, Deliver
from darkroom.local.reporting import Report
from darkroom.manifests import Trigger

NO_TTL = Answered(status=400, body=b"the event has no TTL: it was put on the stream past the Broker's ingress")


def accepts(receiver: Receiver, stored: StoredEvent) -> bool:
    """Report whether an event goes on to the receiver. One without a TTL does, to be refused there."""
    return not isinstance(receiver, Trigger) or not has_ttl(stored.event) or passes(receiver.spec, stored.texts)


def filtered(subscriber: Deliver, broker: BrokerAddress, ingress: Ingress, *, label: str, report: Report) -> Deliver:
    """Return the delivery to a Trigger's subscriber. If the Broker does not take the reply, the delivery has failed."""

    async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
        if not has_ttl(event):
            return Attempt(result=NO_TTL)
        attempt = await subscriber(without_ttl(event), timeout_s)
        if attempt.reply is None:
            return attempt
        try:
            with spans.reply_span(attempt.reply, broker[1]):
                await ingress.publish(broker, inherit_ttl(attempt.reply, from_event=event))
        except (DependencyUnavailableError, EventInvalidError) as exc:
            report("reply.not_published", trigger=label, id=event.id, error=exc.detail)
            return replace(attempt, result=Answered(status=500, body=exc.detail.encode()))
        return attempt

    return deliver
