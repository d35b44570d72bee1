"""All Brokers and channels of the manifests: the connection to NATS, a stream for each of them, and a dispatcher for
each Trigger and Subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import nats
from nats.aio.client import Client

from darkroom.errors import DependencyUnavailableError
from darkroom.local.eventing.broker import BrokerAddress, Ingress
from darkroom.local.eventing.channels import Channels
from darkroom.local.eventing.delivery import consumer_settings, delivery_of
from darkroom.local.eventing.destinations import cluster_url
from darkroom.local.eventing.dispatch import Dispatcher, Route
from darkroom.local.eventing.interposition import Interposition
from darkroom.local.eventing.receivers import label_of
from darkroom.local.eventing.record.recorder import Recorder, RecordLimits
from darkroom.local.eventing.record.verdicts import describe
from darkroom.local.eventing.stream import BrokerStream
from darkroom.local.eventing.subscribers import Subscribers
from darkroom.local.reporting import Report
from darkroom.manifests import Broker, Manifests, Trigger, with_namespace

ENSURE_RETRY_S = 1.0

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Runs a named background task, which is cancelled at the end of the run and reported if it crashes."""


AdaptRoute = Callable[[Route], Route]
"""Changes the route of a Trigger or Subscription before anything is delivered, as tests do to watch deliveries or to
take them over."""


def as_it_is(route: Route) -> Route:
    return route


class Brokers:
    def __init__(
        self,
        manifests: Manifests,
        report: Report,
        spawn: Spawn,
        *,
        record: RecordLimits | None = None,
        adapt: AdaptRoute = as_it_is,
    ) -> None:
        """`record`: what is kept of what happens to events; None: nothing."""
        self._manifests = manifests
        self._adapt = adapt
        self._report = report
        self._spawn = spawn
        self._connection: Client | None = None
        self._ensuring: asyncio.Task[None] | None = None
        self.streams: dict[BrokerAddress, BrokerStream] = {}
        self.channels = Channels(manifests, report)
        self.dispatchers: list[Dispatcher] = []
        """Those of the Triggers."""
        self._records = record is not None
        self.recorder = Recorder(record or RecordLimits(), report)
        self.ingress = Ingress(self.streams, report, self.recorder, self.channels.streams)
        self.interposition = Interposition()

    @property
    def connection(self) -> Client:
        if self._connection is None:
            raise RuntimeError("not connected yet")
        return self._connection

    @property
    def all_dispatchers(self) -> list[Dispatcher]:
        """Return those of the Triggers and of the Subscriptions."""
        return [*self.dispatchers, *self.channels.dispatchers]

    async def open(self, nats_url: str, prepare: Callable[[], Awaitable[None]]) -> Ingress:
        """Connect to NATS and create the streams.

        After a reconnection, NATS may have lost its data: `prepare` recreates what the application keeps there.
        """
        self._connection = connection = await self._connect(nats_url, prepare)
        for broker in self._manifests.brokers:
            stream = BrokerStream(connection, broker, self._manifests.channel(broker), self._report)
            await stream.ensure()
            await stream.drop_other_consumers(self._manifests.triggers_of(broker))
            stream.on_stored = partial(self.interposition.stored, _address(broker))
            self.streams[_address(broker)] = stream
        await self.channels.open(connection)
        if self._records:
            await self.recorder.open(connection)
            self._spawn(self.recorder.run(), "record")
        return self.ingress

    async def dispatch(self, subscribers: Subscribers, ingress: Ingress) -> None:
        """Start delivering to the subscribers of Triggers and Subscriptions."""
        for broker in self._manifests.brokers:
            for trigger in self._manifests.triggers_of(broker):
                route = self._adapt(self._route(broker, trigger, subscribers))
                self.dispatchers.append(Dispatcher(route, ingress, self._report))
        # Before the first delivery: it decides what the record says of each event.
        self.recorder.describe_triggers([_described(dispatcher.route) for dispatcher in self.dispatchers])
        self.channels.prepare(subscribers, ingress, self._adapt)
        for dispatcher in self.all_dispatchers:
            await dispatcher.start(self.connection)

    async def stop_dispatching(self) -> None:
        await asyncio.gather(*(dispatcher.stop() for dispatcher in self.all_dispatchers))

    async def close(self) -> None:
        await self.recorder.close()
        if self._connection is not None:
            await self._connection.close()

    def _route(self, broker: Broker, trigger: Trigger, subscribers: Subscribers) -> Route:
        delivery = delivery_of(trigger, broker)
        subscriber = with_namespace(trigger.spec.subscriber, trigger.namespace)
        sink, label, address = delivery.dead_letter_sink, label_of(trigger, self._manifests.triggers), _address(broker)
        return Route(
            receiver=trigger,
            label=label,
            origin=address,
            stream=self.streams[address],
            delivery=delivery,
            consumer=consumer_settings(delivery, self._manifests.channel(broker)),
            subscriber_name=cluster_url(subscriber),
            subscriber=self.interposition.around(label, subscribers.resolve(subscriber)),
            dead_letter_sink=None if sink is None else subscribers.resolve(sink),
            dead_letter_name="" if sink is None else cluster_url(sink),
        )

    async def _connect(self, url: str, prepare: Callable[[], Awaitable[None]]) -> Client:
        report = self._report

        async def disconnected() -> None:
            report("nats.disconnected")

        async def reconnected() -> None:
            report("nats.reconnected")
            if self._ensuring is None or self._ensuring.done():
                self._ensuring = self._spawn(self._ensure(prepare), "streams after a reconnection")

        async def failed(exc: Exception) -> None:
            report("nats.error", error=repr(exc))

        return await nats.connect(
            url,
            name="darkroom-local",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            error_cb=failed,
        )

    async def _ensure(self, prepare: Callable[[], Awaitable[None]]) -> None:
        """Recreate what a restarted nats-server may have lost, retrying until it succeeds. Existing data stays."""
        while True:
            try:
                for stream in (*self.streams.values(), *self.channels.streams.values()):
                    await stream.ensure()
                for dispatcher in self.all_dispatchers:
                    await dispatcher.ensure_consumer()
                await prepare()
                return
            except (nats.errors.Error, DependencyUnavailableError) as exc:
                self._report("nats.streams_not_ensured", error=repr(exc))
            await asyncio.sleep(ENSURE_RETRY_S)


def _described(route: Route) -> Mapping[str, Any]:
    return describe(route.trigger, label=route.label, broker="/".join(route.broker), subscriber=route.subscriber_name)


def _address(broker: Broker) -> BrokerAddress:
    return (broker.namespace, broker.name)
