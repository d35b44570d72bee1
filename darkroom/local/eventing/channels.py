"""The channels of the manifests: a JetStream stream for each, and a route for each Subscription.

Channels of every kind run on JetStream here, with JetStream's rules of delivery.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from nats.aio.client import Client

from darkroom.local.eventing.broker import Ingress
from darkroom.local.eventing.delivery import combined_delivery, consumer_settings
from darkroom.local.eventing.destinations import cluster_url
from darkroom.local.eventing.dispatch import Dispatcher, Route
from darkroom.local.eventing.flows import ChannelPlan, planned_channels, planned_subscriptions
from darkroom.local.eventing.receivers import SubscriptionPlan, label_of
from darkroom.local.eventing.stream import ChannelAddress, ChannelStream
from darkroom.local.eventing.subscribers import Subscribers
from darkroom.local.eventing.subscriptions import ReplyDestination, SubscriptionDispatcher
from darkroom.local.reporting import Report
from darkroom.manifests import Destination, Manifests


class Channels:
    def __init__(self, manifests: Manifests, report: Report) -> None:
        self._plans: Mapping[ChannelAddress, ChannelPlan] = {plan.address: plan for plan in planned_channels(manifests)}
        self._subscriptions = planned_subscriptions(manifests)
        self._report = report
        self.streams: dict[ChannelAddress, ChannelStream] = {}
        self.dispatchers: list[Dispatcher] = []

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

    def prepare(self, subscribers: Subscribers, ingress: Ingress, adapt: Callable[[Route], Route]) -> None:
        """Make the dispatchers, which are to be started. `adapt` may change each route."""
        for subscription in self._subscriptions:
            route, reply = adapt(self._route(subscription, subscribers)), _reply(subscription.reply, subscribers)
            self.dispatchers.append(SubscriptionDispatcher(route, reply, ingress, self._report))

    def _route(self, subscription: SubscriptionPlan, subscribers: Subscribers) -> Route:
        address = _channel_of(subscription)
        plan = self._plans[address]
        delivery = combined_delivery(subscription.delivery, subscription.namespace, plan.delivery, plan.namespace)
        sink = delivery.dead_letter_sink
        return Route(
            receiver=subscription,
            label=label_of(subscription, self._subscriptions),
            origin=address,
            stream=self.streams[address],
            delivery=delivery,
            consumer=consumer_settings(delivery, plan.template),
            subscriber_name=cluster_url(subscription.subscriber),
            subscriber=subscribers.resolve(subscription.subscriber),
            dead_letter_sink=None if sink is None else subscribers.resolve(sink),
            dead_letter_name="" if sink is None else cluster_url(sink),
        )


def _channel_of(subscription: SubscriptionPlan) -> ChannelAddress:
    return (subscription.namespace, subscription.channel)


def _reply(destination: Destination | None, subscribers: Subscribers) -> ReplyDestination | None:
    if destination is None:
        return None
    return ReplyDestination(url=cluster_url(destination), deliver=subscribers.resolve(destination))
