"""What receives the events of a stream: a Trigger those of its Broker, a Subscription those of its channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from darkroom.local.eventing.filters import only_type
from darkroom.manifests import Delivery, Destination, Trigger


@dataclass(frozen=True, kw_only=True)
class SubscriptionPlan:
    """A Subscription, of a manifest or made for a Sequence or Parallel. References have their namespaces."""

    namespace: str
    name: str
    channel: str
    """In the same namespace."""
    subscriber: Destination
    reply: Destination | None
    delivery: Delivery | None


Receiver: TypeAlias = Trigger | SubscriptionPlan


def label_of(receiver: Receiver, receivers: Iterable[Receiver]) -> str:
    """Return how reports and metrics name one of the receivers: with its namespace only where the name is ambiguous."""
    is_unique = sum(each.name == receiver.name for each in receivers) == 1
    return receiver.name if is_unique else f"{receiver.namespace}/{receiver.name}"


def only_type_of(receiver: Receiver) -> str | None:
    """Return the only event type that the receiver takes; None if it takes several."""
    return only_type(receiver.spec) if isinstance(receiver, Trigger) else None
