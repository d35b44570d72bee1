"""What becomes of dead letters, rejected events and overdue jobs, with fakes for the outside systems."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs import LEASE_S, Lease, NewJob
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from darkroom.serving.work import Done, TryAgain
from functions.recovery.recovering import JOBS_A_SWEEP, WAKE_UP, Recovering

HOUR_S = 3600


class World:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.resources = Resources(Settings.load(needs=frozenset(), environment={"K_SERVICE": "recovery"}))
        self.jobs = self.resources.jobs = MemoryJobStore(clock=lambda: self.now_s)
        self.letters = self.resources.dead_letters = MemoryDeadLetters(clock=lambda: self.now_s)
        self.broker = self.resources.emitter = MemoryEmitter()
        self.recovering = Recovering(self.resources)

    def accept(self, *, trace: str = "") -> UUID:
        job_id = uuid.uuid4()
        new = NewJob(
            job_id=job_id,
            type="resize",
            owner="",
            parameters={"width": 1},
            storage_key="k",
            request_id="r",
            trace=trace,
        )
        self.jobs.accept(new)
        return job_id

    def spend_attempts(self, job_id: UUID) -> None:
        for _ in range(3):
            assert isinstance(self.jobs.claim(job_id, worker="dies"), Lease)
            self.now_s += LEASE_S + 1

    def record(self, job_id: UUID) -> JobRecord:
        record = self.jobs.get(job_id)
        assert record is not None
        return record

    def dead_letter(self, job_id: UUID) -> CloudEvent:
        return events.requested(self.record(job_id), source="/darkroom/ingest").with_extensions(knativeerrorcode="503")

    def sweep(self) -> Done | TryAgain:
        return self.recovering.handle(new_event(WAKE_UP, "/ping", {}))

    def kept(self) -> list[DeadLetter]:
        return [kept.letter for kept in self.letters.list()]

    def emitted(self, type: str) -> list[str | None]:
        return [event.subject for event in self.broker.events if event.type == type]


def test_a_dead_letter_with_attempts_left_is_emitted_again_under_a_new_id() -> None:
    world = World()
    job_id = world.accept()

    assert world.recovering.handle(world.dead_letter(job_id)) == Done()

    (event,) = world.broker.events
    assert (event.id, event.subject) == (f"{job_id}.2", str(job_id))
    assert world.kept() == []


def test_a_dead_letter_whose_attempts_are_spent_fails_the_job_and_is_kept() -> None:
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)

    assert world.recovering.handle(world.dead_letter(job_id)) == Done()

    assert world.record(job_id).status is JobStatus.FAILED
    (letter,) = world.kept()
    assert (letter.job_id, letter.reason, letter.attempts) == (str(job_id), "image.crashed", 3)
    assert letter.origin == "dead-letter"
    assert world.emitted(events.JOB_FAILED) == [str(job_id)]


def test_a_dead_letter_of_a_job_in_work_changes_nothing() -> None:
    world = World()
    job_id = world.accept()
    world.jobs.claim(job_id, worker="busy")

    assert world.recovering.handle(world.dead_letter(job_id)) == Done()

    assert world.broker.events == []
    assert world.kept() == []


def test_a_dead_letter_of_a_job_that_nobody_knows_is_kept_as_an_event() -> None:
    world = World()
    letter = world.dead_letter(world.accept())
    world.resources.jobs = MemoryJobStore()

    world.recovering.handle(letter)

    (kept,) = world.kept()
    assert (kept.reason, kept.event["id"]) == ("delivery.failed", letter.id)


def test_a_rejected_event_is_kept_with_its_reason() -> None:
    world = World()
    event = new_event("com.example.nonsense", "/shop", {"a": 1})

    world.recovering.handle(events.rejected(event, "no such type", source="/darkroom/resize"))

    (kept,) = world.kept()
    assert (kept.reason, kept.detail, kept.origin) == (
        "dev.darkroom.event.rejected",
        "no such type",
        "/darkroom/resize",
    )
    assert kept.event["id"] == event.id


def test_whatever_else_comes_as_a_dead_letter_is_kept() -> None:
    world = World()
    world.recovering.handle(new_event("com.example.unknown", "/shop", {}).with_extensions(knativeerrorcode="500"))
    (kept,) = world.kept()
    assert kept.event["type"] == "com.example.unknown"
    assert "500" in kept.detail


def test_the_sweep_emits_what_nobody_emitted() -> None:
    world = World()
    job_ids = {str(world.accept()) for _ in range(5)}
    world.now_s += 6

    assert world.sweep() == Done()

    assert {event.subject for event in world.broker.events} == job_ids
    assert {event.id.rpartition(".")[2] for event in world.broker.events} == {"1"}


def test_a_job_that_is_given_up_while_the_stream_is_down_is_kept_by_a_later_sweep() -> None:
    """Fails if `kept` is told before the letter is kept."""
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)
    world.letters.is_down = True

    assert isinstance(world.sweep(), TryAgain)
    assert world.record(job_id).status is JobStatus.FAILED

    world.letters.is_down = False
    world.now_s += 61
    assert world.sweep() == Done()
    assert [letter.job_id for letter in world.kept()] == [str(job_id)]
    world.now_s += HOUR_S
    world.sweep()
    assert len(world.kept()) == 1, "kept once"


def test_a_broker_that_is_down_does_not_keep_a_job_from_the_dead_letters() -> None:
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)
    world.broker.is_down = True

    world.sweep()

    assert [letter.job_id for letter in world.kept()] == [str(job_id)]
    world.now_s += HOUR_S
    world.sweep()
    assert len(world.kept()) == 1


def test_one_jobs_failure_does_not_stop_the_others_of_a_sweep() -> None:
    world = World()
    first = world.accept()
    world.now_s += 1
    others = {str(world.accept()) for _ in range(3)}
    world.now_s += 6
    healthy: Callable[[CloudEvent], None] = world.broker.emit

    def refuse_the_first(event: CloudEvent) -> None:
        if event.subject == str(first):
            raise DependencyUnavailableError("broker", "not this one")
        healthy(event)

    world.broker.emit = refuse_the_first  # type: ignore[method-assign]

    assert isinstance(world.sweep(), TryAgain)

    assert {event.subject for event in world.broker.events} == others


def test_a_sweep_is_bounded_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for _ in range(JOBS_A_SWEEP + 10):
        world.accept()
    world.now_s += 6

    world.sweep()
    assert len(world.broker.events) == JOBS_A_SWEEP

    world.sweep()
    assert len({event.subject for event in world.broker.events}) == JOBS_A_SWEEP + 10


def test_a_sweep_over_a_slow_broker_ends_in_time_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    job_ids = {str(world.accept()) for _ in range(10)}
    world.now_s += 6
    clock_s = 0.0
    monkeypatch.setattr("functions.recovery.recovering.time.monotonic", lambda: clock_s)
    healthy: Any = world.broker.emit

    def slow(event: CloudEvent) -> None:
        nonlocal clock_s
        clock_s += 8
        healthy(event)

    world.broker.emit = slow  # type: ignore[method-assign]

    assert isinstance(world.sweep(), TryAgain)
    assert len(world.broker.events) == 3

    for _ in range(5):
        world.now_s += 6
        clock_s = 0.0
        world.sweep()
    assert {event.subject for event in world.broker.events} == job_ids


def test_a_job_that_nobody_ever_took_fails_with_an_error_that_says_so() -> None:
    world = World()
    job_id = world.accept()
    while not world.record(job_id).status.is_final:
        world.now_s += 2 * HOUR_S
        world.sweep()
    (letter,) = world.kept()
    assert letter.reason == "dependency.unavailable"
    assert "no function took it" in letter.detail
