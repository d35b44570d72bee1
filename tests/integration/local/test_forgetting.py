"""Entries that are taken out of the record: none is left in the stream, and all others are read as before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nats.js.errors
import pytest

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.record.entries import Accepted, Attempted, TriggersKnown
from darkroom.local.eventing.record.forgetting import forget
from darkroom.local.eventing.record.recorder import STREAM, Recorder, RecordLimits
from darkroom.local.eventing.stream import Stored, stored_form
from tests.integration.local.test_record import BROKER, a_recorder, everything, recorded_ids
from tests.integration.local.waiting import Reports
from tests.servers import Server, nats_server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(nats_server(tmp_path / "nats")) as running_server:
        yield running_server


def happen(recorder: Recorder, customer: str, *, at: float | None = None) -> str:
    """Record an event about a customer and its delivery, which does not name the customer; returns the event's id."""
    id = str(uuid.uuid4())
    event = CloudEvent(id=id, source="/t", type="t", subject=customer)
    stored = Stored(sequence=1, is_duplicate=False, payload=stored_form(event))
    recorder.accepted(BROKER, stored, arrived_at=recorder.triggers.at if at is None else at)
    number = recorder.next_number()
    recorder.attempted(
        Attempted(
            number=number,
            at=recorder.triggers.at if at is None else at,
            broker=BROKER,
            trigger="shop/all",
            id=id,
            source="/t",
            type="t",
            sequence=1,
            attempt=1,
            lasted_s=0.1,
            action="done",
            outcome="204",
        )
    )
    return id


async def bytes_of_stream(recorder: Recorder) -> bytes:
    jetstream, found = recorder.jetstream, b""
    state = (await jetstream.stream_info(STREAM)).state
    for sequence in range(state.first_seq, state.last_seq + 1):
        with suppress(nats.js.errors.NotFoundError):
            found += (await jetstream.get_msg(STREAM, sequence)).data or b""
    return found


async def test_what_names_a_text_is_gone_with_its_deliveries_and_the_rest_is_in_its_order(
    server: Server, reports: Reports
) -> None:
    gone, stays = str(uuid.uuid4()), str(uuid.uuid4())
    async with a_recorder(server, reports) as recorder:
        ids = []
        for customer in (stays, gone, stays, gone, stays):
            ids.append(happen(recorder, customer))
            await recorder.write()
        happen(recorder, gone)  # not written yet

        assert await forget(recorder, [gone]) == 6
        later = happen(recorder, stays)

        assert await recorded_ids(recorder) == [ids[0], ids[2], ids[4], later]
        entries = await everything(recorder)
        assert [entry.id for entry in entries if isinstance(entry, Attempted)] == [ids[0], ids[2], ids[4], later]
        numbers = [entry.number for entry in entries if not isinstance(entry, TriggersKnown)]
        assert numbers == sorted(set(numbers))
        kept = await bytes_of_stream(recorder)
        for text in (gone, ids[1], ids[3]):
            assert text.encode() not in kept
        assert await forget(recorder, [gone]) == 0


async def test_what_happens_meanwhile_is_written_after_it(server: Server, reports: Reports) -> None:
    gone = str(uuid.uuid4())
    async with a_recorder(server, reports) as recorder:
        happen(recorder, gone)
        async with recorder.alone():
            meanwhile = happen(recorder, "someone")
            assert (await recorder.jetstream.stream_info(STREAM)).state.messages <= 1
        await forget(recorder, [gone])
        assert await recorded_ids(recorder) == [meanwhile]


async def test_what_is_written_again_does_not_live_longer_than_the_record_keeps(
    server: Server, reports: Reports
) -> None:
    gone = str(uuid.uuid4())
    async with a_recorder(server, reports, RecordLimits(max_age_s=3600.0)) as recorder:
        await recorder.write()
        happen(recorder, gone, at=recorder.triggers.at - 4000)
        happen(recorder, "someone", at=recorder.triggers.at - 4000)
        await recorder.write()
        young = happen(recorder, "someone")
        await forget(recorder, [gone])
        assert [entry.event.id for entry in await everything(recorder) if isinstance(entry, Accepted)] == [young]
