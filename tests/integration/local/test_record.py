"""The record on a real nats-server: bounded, complete across its deaths, and out of the Brokers' way."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import nats.js.errors
import pytest

from darkroom.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.record import reader
from darkroom.local.eventing.record.entries import MAX_PAYLOAD_BYTES, Accepted, AnyEntry, Missed, TriggersKnown
from darkroom.local.eventing.record.recorder import MAX_PENDING_BYTES, STREAM, SUBJECT, Recorder, RecordLimits
from darkroom.local.eventing.stream import Stored, stored_form
from tests.integration.local.waiting import DEADLINE_S, Reports
from tests.servers import Server, nats_server, running

BROKER = "shop/orders"
TRIGGERS = [{"trigger": "shop/all", "label": "all", "broker": BROKER, "subscriber": "http://all"}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(nats_server(tmp_path / "nats")) as running_server:
        yield running_server


@asynccontextmanager
async def a_recorder(server: Server, reports: Reports, limits: RecordLimits | None = None) -> AsyncIterator[Recorder]:
    connection = await nats.connect(
        server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_nothing, disconnected_cb=_nothing
    )
    recorder = Recorder(limits or RecordLimits(), reports)
    await recorder.open(connection)
    recorder.describe_triggers(TRIGGERS)
    running_recorder = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        running_recorder.cancel()
        with suppress(asyncio.CancelledError):
            await running_recorder
        await recorder.close()
        await connection.close()


async def _nothing(*_: object) -> None:
    return None


def accept(recorder: Recorder, count: int = 1, *, data_bytes: int = 10) -> list[str]:
    """Record events; returns their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    for id in ids:
        event = CloudEvent(id=id, source="/t", type="t", datacontenttype="text/plain", data=b"x" * data_bytes)
        recorder.accepted(BROKER, Stored(sequence=1, is_duplicate=False, payload=stored_form(event)), arrived_at=1.0)
    return ids


async def everything(recorder: Recorder, sets: reader.Sets | None = None) -> list[AnyEntry]:
    return [found.entry async for found in reader.read(recorder, lambda _: True, {} if sets is None else sets)]


async def written(recorder: Recorder) -> None:
    """Write what waits, as soon as NATS takes it."""
    ends_at = time.monotonic() + DEADLINE_S
    while True:
        try:
            return await recorder.write()
        except DependencyUnavailableError:
            assert time.monotonic() < ends_at
            await asyncio.sleep(0.05)


async def recorded_ids(recorder: Recorder) -> list[str]:
    return [entry.event.id for entry in await everything(recorder) if isinstance(entry, Accepted)]


async def test_what_happened_is_read_in_its_order_as_soon_as_somebody_asks(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        assert await recorded_ids(recorder) == []
        ids = accept(recorder, 300)
        assert await recorded_ids(recorder) == ids


async def test_it_is_written_without_anybody_asking(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        accept(recorder)
        ends_at = time.monotonic() + DEADLINE_S
        while not (await recorder.jetstream.stream_info(STREAM)).state.messages:
            assert time.monotonic() < ends_at
            await asyncio.sleep(0.05)


async def test_the_next_run_continues_the_record(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        first = accept(recorder, 3)
    async with a_recorder(server, reports) as recorder:
        second = accept(recorder, 3)
        assert await recorded_ids(recorder) == first + second
        numbers = [entry.number for entry in await everything(recorder)]
        assert numbers == sorted(set(numbers))


async def test_the_oldest_goes_when_the_limit_in_bytes_is_reached(server: Server, reports: Reports) -> None:
    limits = RecordLimits(max_bytes=4 * 1024 * 1024)
    async with a_recorder(server, reports, limits) as recorder:
        ids: list[str] = []
        for _ in range(12):
            ids += accept(recorder, 10, data_bytes=50_000)
            await recorder.write()
        kept = await recorded_ids(recorder)
        assert 0 < len(kept) < len(ids)
        assert kept == ids[-len(kept) :]
        bounds = await reader.bounds(recorder)
        assert bounds["bytes"] <= limits.max_bytes
        # The Triggers are written again before they drop out, or no verdict could be given.
        sets: reader.Sets = {}
        triggers = [entry async for entry in _triggers(recorder)]
        assert triggers
        await everything(recorder, sets)
        assert recorder.triggers.digest in sets


async def _triggers(recorder: Recorder) -> AsyncIterator[TriggersKnown]:
    async for batch in reader.batches(recorder):
        sets: reader.Sets = {}
        list(reader.parse(batch, lambda _: False, sets))
        for known in sets.values():
            yield known


async def test_limits_in_age_and_number_are_the_streams_own_and_follow_the_settings(
    server: Server, reports: Reports
) -> None:
    async with a_recorder(server, reports) as recorder:
        ids = accept(recorder)
        await recorder.write()
    async with a_recorder(server, reports, RecordLimits(max_age_s=3600, max_batches=7)) as recorder:
        config = (await recorder.jetstream.stream_info(STREAM)).config
        assert (config.max_age, config.max_msgs, config.max_bytes) == (3600, 7, 64 * 1024 * 1024)
        assert await recorded_ids(recorder) == ids


async def test_nothing_is_missing_and_nothing_double_after_nats_was_killed(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        ids = accept(recorder, 5)
        await recorder.write()
        server.kill()
        ids += accept(recorder, 5)
        with pytest.raises(DependencyUnavailableError):
            await recorder.write()
        await reports.wait_for("record.not_written")
        server.start()
        await reports.wait_for("record.written_again")
        assert await recorded_ids(recorder) == ids


async def test_after_nats_lost_its_data_the_record_begins_anew(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        accept(recorder, 5)
        await recorder.write()
        server.kill()
        for folder in server.folder.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
        server.start()
        later = accept(recorder, 2)
        await written(recorder)
        later += accept(recorder, 2)
        sets: reader.Sets = {}
        found = [entry.event.id for entry in await everything(recorder, sets) if isinstance(entry, Accepted)]
        assert found == later


async def test_what_comes_too_fast_is_dropped_counted_and_told(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        await recorder.write()
        with server.paused():
            size = MAX_PAYLOAD_BYTES // 2
            accept(recorder, 3 * MAX_PENDING_BYTES // size, data_bytes=size)
        entries = await everything(recorder)
        kept = sum(isinstance(entry, Accepted) for entry in entries)
        [gap] = [entry for entry in entries if isinstance(entry, Missed)]
        assert kept + gap.count == 3 * MAX_PENDING_BYTES // size
        assert recorder.missed == gap.count > 0
        assert reports.of("record.gap") == [{"entries": gap.count}]


async def test_an_event_too_large_for_the_record_is_kept_without_its_data(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        [id] = accept(recorder, data_bytes=1024 * 1024 - 2000)
        [entry] = [entry for entry in await everything(recorder) if isinstance(entry, Accepted)]
        assert entry.event.id == id
        assert entry.event.data is None
        assert entry.data_left_out_bytes is not None
        assert entry.data_left_out_bytes > MAX_PAYLOAD_BYTES


async def test_the_largest_events_among_many_small_ones_are_kept_whole(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        largest = (MAX_PAYLOAD_BYTES - 200) // 4 * 3  # It is stored in Base64.
        ids = [
            id
            for count, size in ((400, 10), (2, largest), (400, 10))
            for id in accept(recorder, count, data_bytes=size)
        ]
        entries = [entry for entry in await everything(recorder) if isinstance(entry, Accepted)]
        assert [entry.event.id for entry in entries] == ids
        assert not any(entry.data_left_out_bytes for entry in entries)
        assert recorder.missed == 0


async def test_a_follower_gets_each_entry_at_once(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        with recorder.follow() as follower:
            [id] = accept(recorder)
            entry = await asyncio.wait_for(follower.take(), 5)
            assert isinstance(entry, Accepted)
            assert entry.event.id == id


async def test_a_follower_who_does_not_read_is_told_how_much_it_missed(server: Server, reports: Reports) -> None:
    async with a_recorder(server, reports) as recorder:
        with recorder.follow() as follower:
            accept(recorder, 5010)
            taken = [await asyncio.wait_for(follower.take(), 5) for _ in range(5001)]
            assert isinstance(taken[-1], Missed)
            assert taken[-1].count == 10


async def test_no_brokers_stream_can_take_the_records_subject(server: Server, reports: Reports) -> None:
    """A Broker's subjects begin with its namespace, and no namespace begins with an underscore."""
    async with a_recorder(server, reports) as recorder:
        with pytest.raises(nats.js.errors.BadRequestError):
            await recorder.jetstream.add_stream(name="OTHER", subjects=[SUBJECT])
        await recorder.jetstream.add_stream(name="BROKER", subjects=["record.darkroom-kne-trigger._knative.>"])
        accept(recorder)
        await recorder.write()
        assert (await recorder.jetstream.stream_info("BROKER")).state.messages == 0


async def test_without_being_opened_it_keeps_nothing(reports: Reports) -> None:
    recorder = Recorder(RecordLimits(), reports)
    accept(recorder, 3)
    assert not recorder.is_on
    with pytest.raises(DependencyUnavailableError, match="without a record"):
        await everything(recorder)
