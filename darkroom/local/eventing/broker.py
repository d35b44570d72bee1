"""The ingress of Brokers and channels. Answers 202 only once the stream has the event.

A Broker is at `POST /{namespace}/{broker}`, as in Knative. A channel is at `POST /` under the name that it has within a
cluster, `NAME-kn-channel.NAMESPACE.svc.cluster.local`, and, for who cannot choose the Host header, at
`POST /{namespace}/NAME-kn-channel`.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events import cloudevents
from darkroom.events.cloudevents import AttributeValue, CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.destinations import channel_of_host, channel_of_request
from darkroom.local.eventing.record.recorder import Recorder, RecordLimits
from darkroom.local.eventing.stream import (
    MAX_EVENT_BYTES,
    BrokerStream,
    ChannelAddress,
    ChannelStream,
    Stored,
    stored_form,
)
from darkroom.local.reporting import Report

TTL_EXTENSION = "knativebrokerttl"
ARRIVAL_EXTENSION = "knativearrivaltime"
INITIAL_TTL = 255
DUPLICATE_HEADER = "Darkroom-Duplicate"
"""In the answer to an event that was dropped as a duplicate. A cluster answers 202 without a word."""

MAX_TYPES_COUNTED = 200
"""Of one Broker; a type may be anything that a sender writes."""

BrokerAddress = tuple[str, str]
"""Namespace and name."""


class Ingress:
    def __init__(
        self,
        streams: Mapping[BrokerAddress, BrokerStream],
        report: Report,
        recorder: Recorder | None = None,
        channels: Mapping[ChannelAddress, ChannelStream] | None = None,
    ) -> None:
        self._streams = streams
        # It is filled later: an empty mapping is one too.
        self._channels = {} if channels is None else channels
        self._report = report
        self.recorder = recorder or Recorder(RecordLimits(), report)
        self.types: defaultdict[BrokerAddress, Counter[str]] = defaultdict(Counter)
        """How many events of each type each Broker has taken since the start."""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_EVENT_BYTES)
        app.router.add_post("/{namespace}/{broker}", self._receive)
        app.router.add_post("/", self._receive_by_host)
        return app

    @property
    def hosts(self) -> list[str]:
        """Names under which channels are asked for, in patterns."""
        return ["*.svc.cluster.local", "*.svc"]

    def has(self, address: BrokerAddress) -> bool:
        return address in self._streams

    async def publish(self, address: BrokerAddress, event: CloudEvent) -> None:
        """Publish an event from inside the runtime: a reply, or from a source.

        Raises DependencyUnavailableError, EventInvalidError.
        """
        await self._store(address, admit(event))

    async def _store(self, address: BrokerAddress, event: CloudEvent) -> Stored:
        arrived_at = time.time()
        stored = await self._streams[address].publish(event)
        self._count_type(address, event.type)
        self.recorder.accepted("/".join(address), stored, arrived_at=arrived_at)
        return stored

    def _count_type(self, address: BrokerAddress, type: str) -> None:
        types = self.types[address]
        if type in types or len(types) < MAX_TYPES_COUNTED:
            types[type] += 1

    def record_replay(self, address: BrokerAddress, event: CloudEvent) -> None:
        """Record an event that goes to a single Trigger's subscriber, past the Broker's stream."""
        stored = Stored(sequence=0, is_duplicate=False, payload=stored_form(event))
        self.recorder.accepted("/".join(address), stored, arrived_at=time.time())

    def has_channel(self, address: ChannelAddress) -> bool:
        return address in self._channels

    async def publish_to_channel(self, address: ChannelAddress, event: CloudEvent) -> None:
        """Publish an event to a channel from inside the runtime.

        Raises DependencyUnavailableError, EventInvalidError.
        """
        await self._channels[address].publish(event)

    async def _receive(self, request: web.Request) -> web.Response:
        address = (request.match_info["namespace"], request.match_info["broker"])
        if address in self._streams:
            return await self._take_for_broker(request, address)
        channel = channel_of_host(address[1])
        if channel is not None:
            return await self._take_for_channel(request, (address[0], channel))
        return web.Response(status=404, text=f"no Broker {address[0]}/{address[1]}")

    async def _receive_by_host(self, request: web.Request) -> web.Response:
        address = channel_of_request(request.host)
        if address is None:
            return web.Response(status=404, text=f"no channel is called {request.host}")
        return await self._take_for_channel(request, address)

    async def _take_for_broker(self, request: web.Request, address: BrokerAddress) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            event = admit(cloudevents.parse_one(headers, await request.read()))
            with spans.publish_span(event, headers, address[1]):
                stored = await self._store(address, event)
        except EventInvalidError as exc:
            self._report("event.refused", broker=address[1], error=exc.detail)
            self.recorder.refused("/".join(address), exc.detail)
            return web.Response(status=400, text=exc.detail)
        except DependencyUnavailableError as exc:
            self._report("event.not_stored", broker=address[1], id=event.id, error=exc.detail)
            self.recorder.refused("/".join(address), exc.detail, id=event.id, type=event.type)
            return web.Response(status=500, text=exc.detail)
        self._report("event.accepted", broker=address[1], id=event.id, type=event.type, subject=event.subject)
        return web.Response(status=202, headers={DUPLICATE_HEADER: "true"} if stored.is_duplicate else None)

    async def _take_for_channel(self, request: web.Request, address: ChannelAddress) -> web.Response:
        """Store an event as it is: a channel gives it no TTL."""
        stream, name = self._channels.get(address), address[1]
        if stream is None:
            return web.Response(status=404, text=f"no channel {address[0]}/{name}")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            event = cloudevents.parse_one(headers, await request.read())
            with spans.publish_span(event, headers, name):
                await stream.publish(event)
        except EventInvalidError as exc:
            self._report("event.refused", channel=name, error=exc.detail)
            return web.Response(status=400, text=exc.detail)
        except DependencyUnavailableError as exc:
            self._report("event.not_stored", channel=name, id=event.id, error=exc.detail)
            return web.Response(status=500, text=exc.detail)
        self._report("event.accepted", channel=name, id=event.id, type=event.type, subject=event.subject)
        return web.Response(status=202)


def admit(event: CloudEvent) -> CloudEvent:
    """Decrement the TTL, which ends loops, and set the time of arrival, as Knative's ingress does.

    Raises EventInvalidError if the TTL is used up.
    """
    ttl_left = _ttl(event) - 1 if TTL_EXTENSION in event.extensions else INITIAL_TTL
    if ttl_left <= 0:
        raise EventInvalidError(f"{TTL_EXTENSION} is used up: the event went round {INITIAL_TTL} times")
    arrived = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    extensions: dict[str, AttributeValue] = {TTL_EXTENSION: ttl_left, ARRIVAL_EXTENSION: arrived}
    return event.with_extensions(**extensions)


def _ttl(event: CloudEvent) -> int:
    try:
        return int(event.extensions[TTL_EXTENSION])
    except ValueError as exc:
        raise EventInvalidError(f"{TTL_EXTENSION} must be an integer") from exc


def has_ttl(event: CloudEvent) -> bool:
    """Report whether an event passed through an ingress, which gives each event a TTL."""
    return str(event.extensions.get(TTL_EXTENSION, "")).isdecimal()


def without_ttl(event: CloudEvent) -> CloudEvent:
    """Remove the TTL, which is internal to the Broker, before a delivery."""
    return replace(event, extensions={k: v for k, v in event.extensions.items() if k != TTL_EXTENSION})


def inherit_ttl(reply: CloudEvent, *, from_event: CloudEvent) -> CloudEvent:
    """Give a reply the TTL of the event that it answers, so that a loop of replies ends too."""
    return reply.with_extensions(**{TTL_EXTENSION: from_event.extensions.get(TTL_EXTENSION, INITIAL_TTL)})
