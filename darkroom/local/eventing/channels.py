"""The channels of the manifests: a JetStream stream for each, and a route for each Subscription.

Channels of every kind run on JetStream here, with JetStream's rules of delivery.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from nats.aio.client import Client

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.delivery import Answered, combined_delivery, consumer_settings
from darkroom.local.eventing.destinations import cluster_url
from darkroom.local.eventing.dispatch import ReplyDestination, Route
from darkroom.local.eventing.flows import ChannelPlan, planned_channels, planned_subscriptions
from darkroom.local.eventing.receivers import SubscriptionPlan
from darkroom.local.eventing.stream import ChannelAddress, ChannelStream
from darkroom.local.eventing.subscribers import Attempt, Deliver, Subscribers
from darkroom.local.reporting import Report
from darkroom.manifests import Destination, Manifests


class Channels:
    def __init__(self, manifests: Manifests, report: Report) -> None:
        self._plans: Mapping[ChannelAddress, ChannelPlan] = {plan.address: plan for plan in planned_channels(manifests)}
        self._subscriptions = planned_subscriptions(manifests)
        self._report = report
        self.streams: dict[ChannelAddress, ChannelStream] = {}

    async def open(self, connection: Client) -> None:
        """Create the streams."""
        receivers: dict[ChannelAddress, list[SubscriptionPlan]] = defaultdict(list)
        for subscription in self._subscriptions:
            receivers[_channel_of(subscription)].append(subscription)
        for address, plan in self._plans.items():
            stream = ChannelStream(connection, address, plan.template, self._report)
            await stream.ensure()
            await stream.drop_other_consumers(receivers[address])
            self.streams[address] = stream

    def routes(self, subscribers: Subscribers) -> list[Route]:
        return [self._route(subscription, subscribers) for subscription in self._subscriptions]

    def _route(self, subscription: SubscriptionPlan, subscribers: Subscribers) -> Route:
        address = _channel_of(subscription)
        plan = self._plans[address]
        delivery = combined_delivery(subscription.delivery, subscription.namespace, plan.delivery, plan.namespace)
        sink = delivery.dead_letter_sink
        return Route(
            receiver=subscription,
            label=self._label(subscription),
            origin=address,
            stream=self.streams[address],
            delivery=delivery,
            consumer=consumer_settings(delivery, plan.template),
            subscriber_name=cluster_url(subscription.subscriber),
            subscriber=discarding(subscribers.resolve(subscription.subscriber)),
            reply=_reply(subscription.reply, subscribers),
            dead_letter_sink=None if sink is None else subscribers.resolve(sink),
        )

    def _label(self, subscription: SubscriptionPlan) -> str:
        names = Counter(each.name for each in self._subscriptions)
        is_unique = names[subscription.name] == 1
        return subscription.name if is_unique else f"{subscription.namespace}/{subscription.name}"


def discarding(subscriber: Deliver) -> Deliver:
    """Discard the body of a 2xx that is no event, as a channel's dispatcher does; only a Broker's filter refuses it.

    See knative/eventing, pkg/kncloudevents/event_dispatcher.go.
    """

    async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
        attempt = await subscriber(event, timeout_s)
        match attempt.result:
            case Answered(status=status, is_event=False) as answer if 200 <= status < 300:
                return replace(attempt, result=replace(answer, body=b""))
            case _:
                return attempt

    return deliver


def _channel_of(subscription: SubscriptionPlan) -> ChannelAddress:
    return (subscription.namespace, subscription.channel)


def _reply(destination: Destination | None, subscribers: Subscribers) -> ReplyDestination | None:
    if destination is None:
        return None
    return ReplyDestination(url=cluster_url(destination), deliver=subscribers.resolve(destination))
