"""A Broker's JetStream stream and a durable consumer for each of its Triggers, as Knative's JetStream channel has them.

Only the life of events in the stream; what an HTTP client sees is `broker`, what becomes of a delivery is `dispatch`.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import nats.errors
import nats.js.api as jsapi
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent, from_json_object, lossless_json_object
from darkroom.local.eventing.delivery import ConsumerSettings
from darkroom.local.eventing.filters import only_type, texts_of
from darkroom.local.reporting import Report
from darkroom.manifests import Broker, ChannelTemplate, Trigger

PUBLISH_TIMEOUT_S = 5.0
RECLAIM_ACK_WAIT_S = 0.2
DECODED_KEPT = 256
MAX_KEPT_BYTES = 16 * 1024
"""An event's in the stream; larger ones are read again by each Trigger rather than held."""
MAX_TYPE_IN_SUBJECT = 512
"""Characters; nats-server ends a connection whose control line has more than 4096 bytes."""
MAX_EVENT_BYTES = 1024 * 1024
"""nats-server's max_payload; pictures go by reference."""
_HEADERS_ROOM_BYTES = 64
"""For the name of the header that has the message's id, and what frames it."""


@dataclass(frozen=True, kw_only=True)
class ConsumerState:
    """Of a Trigger's consumer, in events."""

    waiting: int
    """Not delivered yet."""
    unacked: int


class BrokerStream:
    """One Broker's stream. Safe to `ensure` again, after a nats-server that lost its data, for example."""

    def __init__(self, connection: Client, broker: Broker, channel: ChannelTemplate, report: Report) -> None:
        self._connection = connection
        self._jetstream: JetStreamContext = connection.jetstream(timeout=PUBLISH_TIMEOUT_S)
        self._broker = broker
        self._channel = channel
        self._report = report
        self._decoded: OrderedDict[bytes, Stored] = OrderedDict()
        # The names that eventing-natss gives them, so that what is learned here holds there.
        self.name = f"KN_{broker.namespace}__{broker.name}_KNE_TRIGGER".upper().replace("-", "_")
        self.subject = f"{broker.namespace}.{broker.name}-kne-trigger._knative"
        """Of the channel. What the ingress publishes goes below it, by type, so that nobody is sent what a filter on
        the type would throw away."""

    async def ensure(self) -> None:
        config = self._config()
        try:
            await self._jetstream.stream_info(self.name)
            await self._jetstream.update_stream(config)
        except nats.js.errors.NotFoundError:
            await self._jetstream.add_stream(config)

    async def ensure_consumer(self, trigger: Trigger, settings: ConsumerSettings) -> str:
        """The subject on which this Trigger's deliveries arrive."""
        config = self._consumer_config(trigger, settings)
        await self._jetstream.add_consumer(self.name, config)
        return config.deliver_subject or ""

    async def reclaim(self, trigger: Trigger, settings: ConsumerSettings) -> None:
        """Have what a dispatcher before us left unacked delivered again now, and not only after its ackWait.

        Only for one that starts, before it subscribes: nobody else can be at those deliveries. nats-server looks
        through what is pending as soon as a consumer's ack_wait changes.
        """
        try:
            left = (await self._jetstream.consumer_info(self.name, consumer_name(trigger))).num_ack_pending or 0
        except nats.js.errors.NotFoundError:
            return
        if left == 0:
            return
        config = self._consumer_config(trigger, settings)
        await self._jetstream.add_consumer(self.name, replace(config, ack_wait=RECLAIM_ACK_WAIT_S))
        await asyncio.sleep(3 * RECLAIM_ACK_WAIT_S)
        await self._jetstream.add_consumer(self.name, config)
        self._report("trigger.reclaimed", trigger=trigger.name, deliveries=left)

    def _consumer_config(self, trigger: Trigger, settings: ConsumerSettings) -> jsapi.ConsumerConfig:
        deliver_subject = f"darkroom.deliver.{self._broker.namespace}.{self._broker.name}.{trigger.name}"
        return jsapi.ConsumerConfig(
            durable_name=consumer_name(trigger),
            deliver_subject=deliver_subject,
            deliver_policy=jsapi.DeliverPolicy(self._channel.deliver_policy.lower()),
            ack_policy=jsapi.AckPolicy.EXPLICIT,
            ack_wait=settings.ack_wait_s,
            max_deliver=settings.max_deliver,
            max_ack_pending=settings.max_ack_pending,
            filter_subjects=self._subjects_of(trigger),
        )

    def _subjects_of(self, trigger: Trigger) -> list[str]:
        """The channel's own too: what others publish there is for everybody, and is filtered when it has come."""
        type = only_type(trigger.spec)
        below = f"{self.subject}.>" if type is None else self._subject_of(type)
        return list(dict.fromkeys([self.subject, below]))

    def _subject_of(self, type: str) -> str:
        """The type's parts as tokens, escaped: NATS forbids empty ones, wildcards and spaces."""
        tokens = ".".join(quote(part, safe="") or "%" for part in type.split("."))
        return f"{self.subject}.{tokens}" if len(tokens) <= MAX_TYPE_IN_SUBJECT else self.subject

    async def drop_other_consumers(self, triggers: Sequence[Trigger]) -> None:
        """With Interest retention a Trigger that is no longer there would keep every event for ever."""
        known = {consumer_name(trigger) for trigger in triggers}
        for consumer in await self._jetstream.consumers_info(self.name):
            if consumer.name not in known:
                await self._jetstream.delete_consumer(self.name, consumer.name)
                self._report("trigger.removed", broker=self._broker.name, consumer=consumer.name)

    async def publish(self, event: CloudEvent) -> None:
        """Returns once the stream has stored it. Raises EventInvalidError for one that is too large for the stream, and
        DependencyUnavailableError.

        The duplicate window goes by the event's id alone, as eventing-natss has it, whatever its source.
        """
        if not self._connection.is_connected:
            # The client would keep it in a buffer and let the caller wait for nothing.
            raise DependencyUnavailableError("broker", "NATS is not connected")
        payload = json.dumps(lossless_json_object(event), separators=(",", ":")).encode()
        message_id = _message_id(event)
        _check_size(len(payload) + len(message_id) + _HEADERS_ROOM_BYTES, self._connection.max_payload)
        self._keep(payload, _stored(event))
        try:
            acked = await self._jetstream.publish(
                self._subject_of(event.type), payload, headers={"Nats-Msg-Id": message_id}
            )
        except (nats.errors.Error, OSError) as exc:
            raise DependencyUnavailableError("broker", f"JetStream did not take the event ({exc!r})") from exc
        if acked.duplicate:
            self._report("event.duplicate_dropped", id=event.id, source=event.source, type=event.type)

    def decode(self, payload: bytes) -> Stored:
        """Every Trigger gets the same bytes, mostly of an event that has just been published here, so what they say is
        kept for a moment. Raises EventInvalidError, ValueError."""
        stored = self._decoded.get(payload)
        if stored is None:
            stored = _stored(from_json_object(json.loads(payload)))
            self._keep(payload, stored)
        return stored

    def _keep(self, payload: bytes, stored: Stored) -> None:
        if len(payload) > MAX_KEPT_BYTES:
            return
        self._decoded[payload] = stored
        if len(self._decoded) > DECODED_KEPT:
            self._decoded.popitem(last=False)

    async def consumers(self) -> dict[str, ConsumerState]:
        found = await self._jetstream.consumers_info(self.name)
        return {
            consumer.name: ConsumerState(waiting=consumer.num_pending or 0, unacked=consumer.num_ack_pending or 0)
            for consumer in found
        }

    async def backlog(self) -> dict[str, int]:
        """Events not yet acked, by consumer."""
        return {name: state.waiting + state.unacked for name, state in (await self.consumers()).items()}

    def _config(self) -> jsapi.StreamConfig:
        channel = self._channel
        return jsapi.StreamConfig(
            name=self.name,
            subjects=[self.subject, f"{self.subject}.>"],
            retention=jsapi.RetentionPolicy(channel.retention.lower()),
            storage=jsapi.StorageType(channel.storage.lower()),
            # One server, one replica: what the manifest says of replicas is for clusters.
            num_replicas=1,
            max_age=channel.max_age_s,
            max_bytes=channel.max_bytes,
            max_msgs=channel.max_messages,
            max_msg_size=channel.max_message_bytes,
            discard=jsapi.DiscardPolicy(channel.discard.lower()),
            duplicate_window=channel.duplicate_window_s,
        )


def consumer_name(trigger: Trigger) -> str:
    return f"{trigger.namespace}_{trigger.name}"


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise EventInvalidError(f"the event takes {size_bytes} bytes in the stream, the limit is {max_bytes}")


def _message_id(event: CloudEvent) -> str:
    return event.id.encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True, kw_only=True)
class Stored:
    event: CloudEvent
    texts: Mapping[str, str]
    """Its attributes, as filters compare them."""


def _stored(event: CloudEvent) -> Stored:
    return Stored(event=event, texts=texts_of(event.attributes()))
