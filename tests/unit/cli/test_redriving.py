"""Selecting and redriving dead letters, with fakes for the external systems."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.deadletters import DeadLetter, KeptDeadLetter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.keeper import MAX_BYTES, Keeper, decode_keeper, encode_keeper
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.cli.timeline import timeline
from darkroom.contract.errors import DependencyUnavailableError, ImageCrashedError, ParametersInvalidError
from darkroom.contract.jobs import JobRecord, JobStatus, keeper_key
from darkroom.events.cloudevents import json_object, new_event
from darkroom.redriving.keeper_files import KeeperFiles
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select
from tests.contract.job_stores import new_job

CRASHED = ImageCrashedError("killed")


class World:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.jobs = MemoryJobStore(clock=lambda: self.now_s)
        self.letters = MemoryDeadLetters()
        self.broker = MemoryEmitter()
        self.storage = MemoryStorage()
        self.redriving = Redrive(self.jobs, self.letters, self.broker, KeeperFiles(self.storage))

    def failed_job(self) -> KeptDeadLetter:
        job_id = uuid.uuid4()
        parameters = {"width": 100, "format": "png"}
        new = NewJob(job_id=job_id, type="resize", owner="", parameters=parameters, storage_key="k", request_id="r")
        self.jobs.accept(new)
        lease = self.jobs.claim(job_id, worker="a")
        assert isinstance(lease, Lease)
        self.now_s += 3
        self.jobs.fail(lease, CRASHED)
        return self.keep(job_id=str(job_id), job_type="resize", reason=CRASHED.code)

    def keep(self, **changes: Any) -> KeptDeadLetter:
        event = json_object(new_event("com.example.thing", "/shop", {"a": 1}, id="order-1"))
        letter = DeadLetter(**{"reason": "delivery.failed", "detail": "", "event": event, **changes})
        kept = self.letters.get(self.letters.keep(letter, key=str(uuid.uuid4())))
        assert kept is not None
        return kept

    def record(self, kept: KeptDeadLetter) -> JobRecord:
        record = self.jobs.get(uuid.UUID(kept.letter.job_id))
        assert record is not None
        return record


def test_a_redriven_job_is_queued_emitted_and_its_letter_dropped() -> None:
    world = World()
    kept = world.failed_job()

    assert "queued again" in world.redriving.redrive(kept, {})

    assert world.record(kept).status is JobStatus.QUEUED
    (event,) = world.broker.events
    assert event.id == f"{kept.letter.job_id}.2"
    assert world.letters.list() == []


def test_changed_parameters_are_in_the_keeper_before_the_job_is_queued() -> None:
    world = World()
    kept, redrive = world.failed_job(), world.jobs.redrive
    job_id = uuid.UUID(kept.letter.job_id)
    before = new_job(job_id=job_id, parameters={"width": 100, "format": "png"}, idempotency_key="one")
    created_at = world.record(kept).created_at
    body = encode_keeper(Keeper(job=before, created_at=created_at))
    world.storage.put(keeper_key(job_id), body, content_type="application/json")
    seen: list[Keeper] = []

    def look_first(*arguments: Any, **more: Any) -> Any:
        seen.append(decode_keeper(world.storage.get(keeper_key(job_id), max_bytes=MAX_BYTES), job_id))
        return redrive(*arguments, **more)

    world.jobs.redrive = look_first  # type: ignore[method-assign]
    world.redriving.redrive(kept, {"width": "200", "format": ""})

    assert [(one.job, one.created_at) for one in seen] == [(replace(before, parameters={"width": 200}), created_at)]
    assert world.record(kept).parameters == {"width": 200}


def test_a_job_without_a_keeper_gets_one_with_its_new_parameters() -> None:
    world = World()
    kept = world.failed_job()
    world.redriving.redrive(kept, {"width": "200"})
    job_id = uuid.UUID(kept.letter.job_id)
    keeper = decode_keeper(world.storage.get(keeper_key(job_id), max_bytes=MAX_BYTES), job_id)
    assert keeper.job.parameters == world.record(kept).parameters == {"width": 200, "format": "png"}


def test_parameters_cannot_be_changed_while_storage_is_away_or_unknown() -> None:
    world = World()
    kept = world.failed_job()
    world.storage.is_down = True
    for redriving in (world.redriving, Redrive(world.jobs, world.letters, world.broker)):
        with pytest.raises(DependencyUnavailableError):
            redriving.redrive(kept, {"width": "200"})
    assert world.record(kept).status is JobStatus.FAILED


def test_redriving_twice_does_the_job_once() -> None:
    world = World()
    kept = world.failed_job()
    world.redriving.redrive(kept, {})

    assert "nothing to redrive" in world.redriving.redrive(kept, {})

    assert len(world.broker.events) == 1
    assert world.record(kept).redrives == 1


def test_a_broker_that_is_down_leaves_the_emission_to_the_sweep() -> None:
    world = World()
    kept = world.failed_job()
    world.broker.is_down = True

    world.redriving.redrive(kept, {})

    world.now_s += 6
    (recovered,) = world.jobs.recover_overdue(limit=10, error=CRASHED)
    assert recovered.record == world.record(kept)
    assert world.letters.list() == []


def test_parameters_can_be_edited_and_are_judged_before_anything_is_done() -> None:
    world = World()
    kept = world.failed_job()

    with pytest.raises(ParametersInvalidError, match="width"):
        world.redriving.redrive(kept, {"width": "0"})
    assert world.record(kept).status is JobStatus.FAILED

    world.redriving.redrive(kept, {"width": "50", "format": "", "fit": "cover", "height": "40"})
    assert world.record(kept).parameters == {"width": 50, "height": 40, "fit": "cover"}


def test_a_dry_run_does_nothing() -> None:
    world = World()
    kept, event = world.failed_job(), world.keep()

    assert "would" in world.redriving.redrive(kept, {}, dry_run=True)
    assert "would" in world.redriving.redrive(event, {}, dry_run=True)

    assert world.record(kept).status is JobStatus.FAILED
    assert len(world.letters.list()) == 2
    assert world.broker.events == []


def test_the_letter_of_a_job_that_is_gone_stays() -> None:
    world = World()
    kept = world.keep(job_id=str(uuid.uuid4()), job_type="resize")

    assert "no longer exists" in world.redriving.redrive(kept, {})
    assert len(world.letters.list()) == 1


def test_what_is_no_job_is_emitted_anew_under_an_id_of_its_own() -> None:
    world = World()
    kept = world.keep()

    world.redriving.redrive(kept, {})

    (event,) = world.broker.events
    assert (event.id, event.type, event.json()) == (f"order-1.redriven.{kept.sequence}", "com.example.thing", {"a": 1})
    assert world.letters.list() == []


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), {1, 2, 3}),
        (Selection(kind="resize"), {2}),
        (Selection(kind="event"), {1, 3}),
        (Selection(reason="image.crashed"), {2}),
        (Selection(sequences=(1, 3)), {1, 3}),
        (Selection(job_id="j"), {2}),
        (Selection(older_than_s=60), set()),
        (Selection(newer_than_s=60), {1, 2, 3}),
    ],
)
def test_letters_are_selected_by_type_error_age_number_and_job(selection: Selection, found: set[int]) -> None:
    world = World()
    world.keep()
    world.keep(job_id="j", job_type="resize", reason="image.crashed")
    world.keep()

    assert {kept.sequence for kept in select(world.letters, selection)} == found


def test_age_counts_from_when_the_letter_was_kept() -> None:
    now = datetime.now(UTC)
    old = KeptDeadLetter(
        sequence=1, kept_at=now - timedelta(hours=2), letter=DeadLetter(reason="r", detail="", event={})
    )
    assert Selection(older_than_s=3600).matches(old, now=now)
    assert not Selection(newer_than_s=3600).matches(old, now=now)


def test_a_selection_reads_the_stream_page_by_page_to_its_end() -> None:
    world = World()
    for _ in range(250):
        world.keep()
    assert len(list(select(world.letters, Selection()))) == 250


def test_the_timeline_shows_each_attempts_instance_wait_length_and_outcome() -> None:
    world = World()
    kept = world.failed_job()
    world.now_s += 5
    world.redriving.redrive(kept, {})
    world.now_s += 1
    world.jobs.claim(world.record(kept).job_id, worker="b")

    first, second = timeline(world.record(kept))

    assert (first["instance"], first["waited_ms"], first["lasted_ms"], first["outcome"]) == (
        "a",
        0,
        3000,
        "image.crashed",
    )
    assert (second["instance"], second["waited_ms"], second["outcome"]) == ("b", 6000, "under way")
