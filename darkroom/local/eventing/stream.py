"""A channel's JetStream stream, with a durable consumer per Subscription, as in Knative's JetStream channel.

A Broker has such a channel behind it, and a Trigger is a Subscription of that.

This module only stores events and sets up consumers. `broker` is the HTTP side, `dispatch` handles deliveries.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import nats.errors
import nats.js.api as jsapi
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent, from_json_object, lossless_json_object
from darkroom.local.eventing.delivery import ConsumerSettings
from darkroom.local.eventing.filters import attribute_texts
from darkroom.local.eventing.receivers import Receiver, only_type_of
from darkroom.local.reporting import Report
from darkroom.manifests import Broker, ChannelTemplate

PUBLISH_TIMEOUT_S = 5.0
RECLAIM_ACK_WAIT_S = 0.2
CACHED_EVENTS = 256
MAX_CACHED_BYTES = 16 * 1024
"""Larger events are not cached but decoded by each Trigger. Measured as stored in the stream."""
MAX_TYPE_IN_SUBJECT = 512
"""In characters; nats-server closes a connection whose control line has more than 4096 bytes."""
REPLICAS_METADATA = "dev.darkroom.replicas"
"""The manifest's number of replicas at the stream's creation. There is one server here, so NATS does not know it."""
MAX_EVENT_BYTES = 1024 * 1024
"""nats-server's max_payload; pictures are sent by reference."""
_HEADERS_ROOM_BYTES = 64
"""Space for the name of the message id's header and its framing."""

ChannelAddress = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, kw_only=True)
class ConsumerState:
    """The number of events that a Trigger's or Subscription's consumer has to handle."""

    waiting: int
    """Not yet delivered."""
    unacked: int


class ChannelStream:
    """One channel's stream. `ensure` may be called again, for example after a nats-server has lost its data."""

    _owner_kind = "channel"
    _receiver_kind = "subscription"
    _deliver_prefix = "darkroom.channel"

    def __init__(
        self, connection: Client, owner: ChannelAddress, channel: ChannelTemplate, report: Report, *, suffix: str = ""
    ) -> None:
        self._connection = connection
        self._jetstream: JetStreamContext = connection.jetstream(timeout=PUBLISH_TIMEOUT_S)
        self._namespace, self._owner = owner
        self._channel = channel
        self._report = report
        self._reported: set[tuple[str, str]] = set()
        self._decoded: OrderedDict[bytes, StoredEvent] = OrderedDict()
        self.on_stored: Callable[[StoredEvent], None] = lambda _: None
        """Called with each event that `publish` has stored, duplicates excluded."""
        # The same names as in eventing-natss, so that what is learned here applies there.
        self.name = f"KN_{self._namespace}__{_token(self._owner)}{suffix}".upper().replace("-", "_")
        self.subject = f"{self._namespace}.{self._owner}{suffix}._knative"
        """The channel's subject. The ingress publishes below it, by event type, so that a Trigger that filters by type
        does not receive events only to discard them."""

    async def ensure(self) -> None:
        """Create the stream unless it exists. As on a cluster, its settings are those with which it was created.

        Settings that have changed in the manifest since are reported.
        """
        config = self._config()
        try:
            existing = (await self._jetstream.stream_info(self.name)).config
        except nats.js.errors.NotFoundError:
            await self._jetstream.add_stream(config)
            return
        if set(config.subjects or ()) - set(existing.subjects or ()):
            # Not a setting of the manifest: the layout that this version of the runtime needs.
            await self._jetstream.update_stream(replace(existing, subjects=config.subjects))
        self._report_differences(channel_of(existing))

    def _report_differences(self, in_force: ChannelTemplate) -> None:
        for setting, (was, wanted) in different_settings(in_force, self._channel).items():
            if (setting, wanted) in self._reported:
                continue
            self._reported.add((setting, wanted))
            self._report(
                "stream.setting_not_applied",
                **{self._owner_kind: f"{self._namespace}/{self._owner}"},
                setting=setting,
                in_force=was,
                manifest=wanted,
                detail="as on a cluster, a stream is created once and never updated: change it with "
                f"`nats stream edit {self.name}`, or delete the stream, with its events, and start again",
            )

    async def ensure_consumer(self, receiver: Receiver, settings: ConsumerSettings) -> str:
        """Create a receiver's consumer; returns the subject on which its deliveries arrive."""
        config = self._consumer_config(receiver, settings)
        await self._jetstream.add_consumer(self.name, config)
        return config.deliver_subject or ""

    async def reclaim(self, receiver: Receiver, settings: ConsumerSettings) -> None:
        """Redeliver at once what a previous dispatcher left unacked, instead of after its ackWait.

        Call it only at startup, before subscribing, when nobody else can be working on those deliveries. nats-server
        rechecks pending messages as soon as a consumer's ack_wait changes.
        """
        try:
            left = (await self._jetstream.consumer_info(self.name, consumer_name(receiver))).num_ack_pending or 0
        except nats.js.errors.NotFoundError:
            return
        if left == 0:
            return
        config = self._consumer_config(receiver, settings)
        await self._jetstream.add_consumer(self.name, replace(config, ack_wait=RECLAIM_ACK_WAIT_S))
        await asyncio.sleep(3 * RECLAIM_ACK_WAIT_S)
        await self._jetstream.add_consumer(self.name, config)
        reclaimed = f"{self._receiver_kind}.reclaimed"
        self._report(reclaimed, **{self._receiver_kind: receiver.name}, deliveries=left)

    def _consumer_config(self, receiver: Receiver, settings: ConsumerSettings) -> jsapi.ConsumerConfig:
        names = f"{self._namespace}.{_token(self._owner)}.{_token(receiver.name)}"
        deliver_subject = f"{self._deliver_prefix}.{names}"
        return jsapi.ConsumerConfig(
            durable_name=consumer_name(receiver),
            deliver_subject=deliver_subject,
            deliver_policy=jsapi.DeliverPolicy(self._channel.deliver_policy.lower()),
            ack_policy=jsapi.AckPolicy.EXPLICIT,
            ack_wait=settings.ack_wait_s,
            max_deliver=settings.max_deliver,
            max_ack_pending=settings.max_ack_pending,
            filter_subjects=self._subjects_of(receiver),
        )

    def _subjects_of(self, receiver: Receiver) -> list[str]:
        """Return a receiver's subjects, including the channel's own: events that others publish there go to every
        Trigger and are filtered on arrival."""
        type = only_type_of(receiver)
        below = f"{self.subject}.>" if type is None else self._subject_of(type)
        return list(dict.fromkeys([self.subject, below]))

    def _subject_of(self, type: str) -> str:
        """Append the type's parts as escaped tokens: NATS forbids empty tokens, wildcards and spaces."""
        tokens = ".".join(quote(part, safe="") or "%" for part in type.split("."))
        return f"{self.subject}.{tokens}" if len(tokens) <= MAX_TYPE_IN_SUBJECT else self.subject

    async def drop_other_consumers(self, receivers: Sequence[Receiver]) -> None:
        """Delete the consumers of removed receivers, which with Interest retention would keep every event forever."""
        known = {consumer_name(receiver) for receiver in receivers}
        for consumer in await self._jetstream.consumers_info(self.name):
            if consumer.name not in known:
                await self._jetstream.delete_consumer(self.name, consumer.name)
                removed = f"{self._receiver_kind}.removed"
                self._report(removed, **{self._owner_kind: self._owner}, consumer=consumer.name)

    async def publish(self, event: CloudEvent) -> Stored:
        """Publish an event; returns once the stream has stored it.

        Raises EventInvalidError if it is too large for the stream, and DependencyUnavailableError. The duplicate window
        compares only the event's id and ignores its source, as in eventing-natss.
        """
        if not self._connection.is_connected:
            # The client would buffer the message and let the caller wait in vain.
            raise DependencyUnavailableError("broker", "NATS is not connected")
        payload = stored_form(event)
        message_id = _message_id(event) if self._channel.deduplicate else uuid4().hex
        _check_size(len(payload) + len(message_id) + _HEADERS_ROOM_BYTES, self._connection.max_payload)
        stored = _stored_event(event)
        self._cache(payload, stored)
        try:
            acked = await self._jetstream.publish(
                self._subject_of(event.type), payload, headers={"Nats-Msg-Id": message_id}
            )
        except (nats.errors.Error, OSError) as exc:
            raise DependencyUnavailableError("broker", f"JetStream did not take the event ({exc!r})") from exc
        if acked.duplicate:
            self._report("event.duplicate_dropped", id=event.id, source=event.source, type=event.type)
        else:
            self.on_stored(stored)
        return Stored(sequence=acked.seq, is_duplicate=bool(acked.duplicate), payload=payload)

    def decode(self, payload: bytes) -> StoredEvent:
        """Decode an event, with a cache, because every Trigger gets the same bytes, usually just published here.

        Raises EventInvalidError, ValueError.
        """
        stored = self._decoded.get(payload)
        if stored is None:
            stored = _stored_event(from_json_object(json.loads(payload)))
            self._cache(payload, stored)
        return stored

    def _cache(self, payload: bytes, stored: StoredEvent) -> None:
        if len(payload) > MAX_CACHED_BYTES:
            return
        self._decoded[payload] = stored
        if len(self._decoded) > CACHED_EVENTS:
            self._decoded.popitem(last=False)

    async def consumers(self) -> dict[str, ConsumerState]:
        found = await self._jetstream.consumers_info(self.name)
        return {
            consumer.name: ConsumerState(waiting=consumer.num_pending or 0, unacked=consumer.num_ack_pending or 0)
            for consumer in found
        }

    async def backlog(self) -> dict[str, int]:
        """Return the number of events not yet acked, by consumer."""
        return {name: state.waiting + state.unacked for name, state in (await self.consumers()).items()}

    def _config(self) -> jsapi.StreamConfig:
        channel = self._channel
        return jsapi.StreamConfig(
            name=self.name,
            subjects=[self.subject, f"{self.subject}.>"],
            retention=jsapi.RetentionPolicy(channel.retention.lower()),
            storage=jsapi.StorageType(channel.storage.lower()),
            # There is only one server; the manifest's number of replicas is for clusters.
            num_replicas=1,
            max_age=channel.max_age_s,
            max_bytes=channel.max_bytes,
            max_msgs=channel.max_messages,
            max_msg_size=channel.max_message_bytes,
            discard=jsapi.DiscardPolicy(channel.discard.lower()),
            duplicate_window=channel.duplicate_window_s,
            metadata={REPLICAS_METADATA: str(channel.replicas)},
        )


class BrokerStream(ChannelStream):
    """The stream of the channel behind a Broker."""

    _owner_kind = "broker"
    _receiver_kind = "trigger"
    _deliver_prefix = "darkroom.deliver"

    def __init__(self, connection: Client, broker: Broker, channel: ChannelTemplate, report: Report) -> None:
        owner = (broker.namespace, broker.name)
        super().__init__(connection, owner, channel, report, suffix="-kne-trigger")


def consumer_name(receiver: Receiver) -> str:
    return f"{receiver.namespace}_{_token(receiver.name)}"


def _token(name: str) -> str:
    """Replace the dots that a name may have: NATS separates tokens by them. No Kubernetes name has a tilde."""
    return name.replace(".", "~")


_SETTINGS = {
    "retention": "retention",
    "storage": "storage",
    "replicas": "replicas",
    "maxAge": "max_age_s",
    "maxBytes": "max_bytes",
    "maxMsgs": "max_messages",
    "maxMsgSize": "max_message_bytes",
    "discard": "discard",
    "duplicateWindow": "duplicate_window_s",
}
"""The stream's settings in the manifest, with their attributes in ChannelTemplate."""


def channel_of(config: jsapi.StreamConfig) -> ChannelTemplate:
    """Return the settings with which a stream was created."""
    replicas = (config.metadata or {}).get(REPLICAS_METADATA, "")
    return ChannelTemplate(
        retention=_capitalized(config.retention, jsapi.RetentionPolicy.LIMITS),
        storage=_capitalized(config.storage, jsapi.StorageType.FILE),
        replicas=int(replicas) if replicas.isdecimal() else 0,
        max_age_s=config.max_age or 0.0,
        max_bytes=config.max_bytes or -1,
        max_messages=config.max_msgs or -1,
        max_message_bytes=config.max_msg_size or -1,
        discard=_capitalized(config.discard, jsapi.DiscardPolicy.OLD),
        duplicate_window_s=config.duplicate_window,
    )


def _capitalized(value: Any, default: Any) -> Any:
    return str(getattr(value or default, "value", value)).capitalize()


def different_settings(in_force: ChannelTemplate, wanted: ChannelTemplate) -> dict[str, tuple[str, str]]:
    """Return the settings that differ, by their names in the manifest, with both values."""
    different = {}
    for setting, attribute in _SETTINGS.items():
        was, now = _comparable(getattr(in_force, attribute)), _comparable(getattr(wanted, attribute))
        is_unknown = attribute == "replicas" and in_force.replicas == 0
        if was != now and not is_unknown:
            different[setting] = (was, now)
    return different


def _comparable(value: str | float) -> str:
    # To NATS, 0 means no limit, as -1 does.
    return value if isinstance(value, str) else f"{-1 if value == 0 else value:.12g}"


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise EventInvalidError(f"the event takes {size_bytes} bytes in the stream, the limit is {max_bytes}")


def stored_form(event: CloudEvent) -> bytes:
    """Encode an event as it is stored: in the JSON event format, with its data preserved byte for byte."""
    return json.dumps(lossless_json_object(event), separators=(",", ":"), allow_nan=False).encode()


def _message_id(event: CloudEvent) -> str:
    return event.id.encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What became of an event that was published."""

    sequence: int
    is_duplicate: bool
    """The stream had an event of this id already, and dropped this one."""
    payload: bytes
    """The event in the JSON event format, as it is stored."""


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    event: CloudEvent
    texts: Mapping[str, str]
    """Its attributes, as filters compare them."""


def _stored_event(event: CloudEvent) -> StoredEvent:
    return StoredEvent(event=event, texts=attribute_texts(event.attributes()))
