"""A Broker's stream on a real nats-server: what the Triggers read there is what was published."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from nats.aio.subscription import Subscription

from darkroom.contract.errors import EventInvalidError
from darkroom.events.cloudevents import CloudEvent, json_object
from darkroom.local.eventing.delivery import consumer_settings, delivery_of
from darkroom.local.eventing.stream import MAX_CACHED_BYTES, MAX_EVENT_BYTES, BrokerStream, consumer_name
from darkroom.manifests import ChannelTemplate, Trigger, load
from darkroom.manifests.eventing import FilterExpression
from tests.integration.local.waiting import Reports
from tests.servers import Server, nats_server, running

NOT_APPLIED = "stream.setting_not_applied"
PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(nats_server(tmp_path_factory.mktemp("nats"))) as running_server:
        yield running_server


@asynccontextmanager
async def a_stream(
    server: Server, reports: Reports, *, type: str | None = None
) -> AsyncIterator[tuple[BrokerStream, Subscription]]:
    """A Broker's stream, and what a Trigger gets that accepts every event, or the events of one type."""
    manifests = load([PROJECT / "knative" / "base", PROJECT / "nats-eventing"])
    broker, channel = manifests.brokers[0], manifests.channel(manifests.brokers[0])
    trigger = trigger_of(manifests.triggers[0], type)
    connection = await nats.connect(server.url)
    try:
        stream = BrokerStream(connection, broker, channel, reports)
        await stream.ensure()
        subject = await stream.ensure_consumer(trigger, consumer_settings(delivery_of(trigger, broker), channel))
        yield stream, await connection.subscribe(subject)
        await connection.jetstream().delete_consumer(stream.name, consumer_name(trigger))
    finally:
        await connection.close()


def trigger_of(trigger: Trigger, type: str | None) -> Trigger:
    filters = None if type is None else [FilterExpression(exact={"type": type})]
    return trigger.model_copy(update={"spec": trigger.spec.model_copy(update={"filters": filters})})


async def delivered(stream: BrokerStream, deliveries: Subscription, event: CloudEvent) -> bytes:
    await stream.publish(event)
    return await next_payload(deliveries)


async def next_payload(deliveries: Subscription) -> bytes:
    message = await deliveries.next_msg(timeout=10)
    await message.ack_sync()
    return message.data


EVENTS = {
    "JSON that is spelled in another way": CloudEvent(
        id="1", source="/t", type="t", datacontenttype="application/json", data=b'{ "a" : [1.50, "\\u00e4", null] }'
    ),
    "JSON with numbers that Python has not": CloudEvent(
        id="11", source="/t", type="t", datacontenttype="application/json", data=b"[1e400,0.1234567890123456789]"
    ),
    "JSON with a member twice": CloudEvent(
        id="12", source="/t", type="t", datacontenttype="application/json", data=b'{"a":1,"a":2}'
    ),
    "JSON of no stated type": CloudEvent(id="2", source="/t", type="t", data=b"[]"),
    "JSON null": CloudEvent(id="3", source="/t", type="t", data=b"null"),
    "JSON with half of a surrogate pair": CloudEvent(
        id="4", source="/t", type="t", datacontenttype="application/json", data=b'{"a":"\\ud800"}'
    ),
    "what only calls itself JSON": CloudEvent(
        id="5", source="/t", type="t", datacontenttype="application/json", data=b"\xff{"
    ),
    "text": CloudEvent(id="6", source="/t", type="t", datacontenttype="text/plain", data="ä".encode()),
    "bytes": CloudEvent(id="7", source="/t", type="t", datacontenttype="image/png", data=b"\x89PNG\x00"),
    "no data": CloudEvent(id="8", source="/t", type="t"),
    "more than is held": CloudEvent(
        id="14", source="/t", type="t", datacontenttype="text/plain", data=b"x" * MAX_CACHED_BYTES
    ),
    "every attribute": CloudEvent(
        id="9 ä",
        source="urn:t",
        type="t",
        subject="s",
        time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2))),
        datacontenttype="application/json",
        dataschema="https://t/s",
        extensions={"text": "x", "number": -3, "flag": True},
        data=b"{}",
    ),
    "a time in UTC": CloudEvent(id="10", source="/t", type="t", time=datetime(2026, 1, 2, tzinfo=UTC)),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
async def test_a_trigger_reads_what_was_published(event: CloudEvent, server: Server, reports: Reports) -> None:
    async with a_stream(server, reports) as (stream, deliveries):
        payload = await delivered(stream, deliveries, event)
        kept = stream.decode(payload)
    async with a_stream(server, reports) as (after_a_restart, _):
        read = after_a_restart.decode(payload)
    assert (kept.event, read.event) == (event, event)
    assert kept.texts == read.texts


async def test_an_event_that_nats_would_refuse_is_refused_with_its_size(server: Server, reports: Reports) -> None:
    event = CloudEvent(id="13", source="/t", type="t", datacontenttype="image/png", data=bytes(1024 * 1024 * 3 // 4))
    async with a_stream(server, reports) as (stream, _):
        with pytest.raises(EventInvalidError, match=r"takes 104\d{4} bytes in the stream, the limit is 1048576"):
            await stream.publish(event)


async def test_the_largest_events_are_taken_or_refused_but_never_tried_in_vain(
    server: Server, reports: Reports
) -> None:
    """Across the limit: whatever NATS would not take, for its headers, is refused before it is sent."""
    async with a_stream(server, reports) as (stream, deliveries):
        taken = [await is_taken(stream, deliveries, MAX_EVENT_BYTES - spare) for spare in range(400, 100, -8)]
    assert taken == sorted(taken, reverse=True)
    assert (taken[0], taken[-1]) == (True, False), taken


async def is_taken(stream: BrokerStream, deliveries: Subscription, data_bytes: int) -> bool:
    """A JSON text, which has the same length in the stream."""
    data = json.dumps("x" * (data_bytes - 2)).encode()
    event = CloudEvent(id=str(uuid4()), source="/t", type="t", datacontenttype="application/json", data=data)
    try:
        payload = await delivered(stream, deliveries, event)
    except EventInvalidError:
        return False
    return stream.decode(payload).event == event


TYPES = ["dev.t.a", "t", "a..b", ".", "a b", "a.*", "a.>", ">", "%", "ä.ö", "a%2Eb", "x" * 600, "dev.t.a.b"]


@pytest.mark.parametrize("type", TYPES, ids=lambda type: type[:20])
async def test_a_trigger_for_one_type_is_sent_its_events(type: str, server: Server, reports: Reports) -> None:
    event = CloudEvent(id=str(uuid4()), source="/t", type=type)
    async with a_stream(server, reports, type=type) as (stream, deliveries):
        assert stream.decode(await delivered(stream, deliveries, event)).event == event
    async with a_stream(server, reports) as (stream, deliveries):
        again = replace(event, id=str(uuid4()))
        assert stream.decode(await delivered(stream, deliveries, again)).event == again


async def test_a_trigger_for_one_type_is_sent_nothing_else(server: Server, reports: Reports) -> None:
    """The last one is there to be waited for."""
    others = [type for type in TYPES if type != "dev.t.a" and len(type) < 500]
    async with a_stream(server, reports, type="dev.t.a") as (stream, deliveries):
        for type in [*others, "dev.t.a"]:
            await stream.publish(CloudEvent(id=str(uuid4()), source="/t", type=type))
        assert stream.decode(await next_payload(deliveries)).event.type == "dev.t.a"


async def test_what_others_publish_on_the_channels_own_subject_is_for_every_trigger(
    server: Server, reports: Reports
) -> None:
    """Publish as a runtime did before events had subjects by type: such events are still delivered."""
    event = CloudEvent(id=str(uuid4()), source="/t", type="t")
    payload = json.dumps(json_object(event)).encode()
    async with a_stream(server, reports, type="another") as (stream, deliveries):
        connection = await nats.connect(server.url)
        await connection.jetstream().publish(stream.subject, payload)
        await connection.close()
        assert await next_payload(deliveries) == payload


async def test_a_consumer_for_everything_becomes_one_for_a_type_and_keeps_what_it_has_not_delivered(
    server: Server, reports: Reports
) -> None:
    kept, other = (CloudEvent(id=str(uuid4()), source="/t", type=type) for type in ("dev.t.kept", "dev.t.other"))
    manifests = load([PROJECT / "knative" / "base", PROJECT / "nats-eventing"])
    broker, channel = manifests.brokers[0], manifests.channel(manifests.brokers[0])
    connection = await nats.connect(server.url)
    stream = BrokerStream(connection, broker, channel, reports)
    await stream.ensure()
    before, after = (trigger_of(manifests.triggers[0], type) for type in (None, "dev.t.kept"))
    settings = consumer_settings(delivery_of(before, broker), channel)
    await stream.ensure_consumer(before, settings)
    await stream.publish(other)
    await stream.publish(kept)
    deliveries = await connection.subscribe(await stream.ensure_consumer(after, settings))
    assert stream.decode(await next_payload(deliveries)).event == kept
    await connection.jetstream().delete_consumer(stream.name, consumer_name(after))
    await connection.close()


def changed_channel(channel: ChannelTemplate) -> ChannelTemplate:
    return replace(channel, max_bytes=1_000_000, replicas=3, retention="Limits", max_age_s=3600.0)


async def test_a_changed_channel_is_reported_and_not_applied_as_on_a_cluster(server: Server, reports: Reports) -> None:
    manifests = load([PROJECT / "knative" / "base", PROJECT / "nats-eventing"])
    broker, channel = manifests.brokers[0], manifests.channel(manifests.brokers[0])
    broker = broker.model_copy(update={"metadata": broker.metadata.model_copy(update={"name": "kept.as-it-is"})})
    connection = await nats.connect(server.url)
    try:
        await BrokerStream(connection, broker, channel, reports).ensure()
        unchanged = BrokerStream(connection, broker, channel, reports)
        await unchanged.ensure()
        assert reports.all == []

        changed = BrokerStream(connection, broker, changed_channel(channel), reports)
        await changed.ensure()
        await changed.ensure()

        said = {report["setting"]: (report["in_force"], report["manifest"]) for report in reports.of(NOT_APPLIED)}
        assert said == {
            "maxBytes": ("-1", "1000000"),
            "replicas": ("1", "3"),
            "retention": ("Interest", "Limits"),
            "maxAge": ("604800", "3600"),
        }
        assert len(reports.all) == 4, "said once"
        config = (await connection.jetstream().stream_info(changed.name)).config
        assert (config.max_bytes, config.max_age) == (-1, 604800)
    finally:
        await connection.close()
