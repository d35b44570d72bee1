"""How recovery handles dead letters, rejected events and overdue jobs, with fakes for the outside systems."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.jobs import LEASE_S, KeptJob
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError, ImageCorruptError
from darkroom.contract.jobs import JobStatus
from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.serving.answers import Done, EventAnswer, TryAgain
from darkroom.serving.testing import MemoryPipeline
from functions.recovery.app import build
from functions.recovery.recovery import JOBS_AT_ONCE, WAKE_UP
from tests.contract.job_stores import new_job
from tests.stack import eventually

HOUR_S = 3600


class World(MemoryPipeline):
    def __init__(self, **settings: str) -> None:
        super().__init__("recovery", settings=settings)
        self.recovery = build(self.resources)

    def spend_attempts(self, job_id: UUID) -> None:
        for _ in range(3):
            self.claim(job_id, worker="dies")
            self.advance(LEASE_S + 1)

    def accept_later(self) -> UUID:
        self.advance(0.01)
        return self.accept()

    def dead_letter(self, job_id: UUID) -> CloudEvent:
        return self.requested(job_id).with_extensions(knativeerrorcode="503")

    def sweep(self) -> EventAnswer:
        return self.recovery.handle(new_event(WAKE_UP, "/ping", {}))

    def kept(self) -> list[DeadLetter]:
        return [kept.letter for kept in self.dead_letters.list()]


def test_a_dead_letter_with_attempts_left_is_emitted_again_under_a_new_id() -> None:
    world = World()
    job_id = world.accept()

    assert world.recovery.handle(world.dead_letter(job_id)) == Done()

    (event,) = world.emitter.events
    assert (event.id, event.subject) == (f"{job_id}.2", str(job_id))
    assert world.kept() == []


def test_a_dead_letter_whose_attempts_are_spent_fails_the_job_and_is_kept() -> None:
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)

    assert world.recovery.handle(world.dead_letter(job_id)) == Done()

    assert world.record(job_id).status is JobStatus.FAILED
    (letter,) = world.kept()
    assert (letter.job_id, letter.reason, letter.attempts) == (str(job_id), "image.crashed", 3)
    assert letter.origin == "dead-letter"
    assert [event.subject for event in world.emitted(events.JOB_FAILED)] == [str(job_id)]


def test_a_dead_letter_of_a_job_in_work_changes_nothing() -> None:
    world = World()
    job_id = world.accept()
    world.claim(job_id, worker="busy")

    assert world.recovery.handle(world.dead_letter(job_id)) == Done()

    assert world.emitter.events == []
    assert world.kept() == []


def test_a_dead_letter_of_a_job_that_nobody_knows_is_kept_as_an_event() -> None:
    world = World()
    letter = world.dead_letter(world.accept())
    world.resources.jobs = MemoryJobStore()

    world.recovery.handle(letter)

    (kept,) = world.kept()
    assert (kept.reason, kept.event["id"]) == ("delivery.failed", letter.id)


def test_an_event_from_before_its_job_was_restored_is_no_dead_letter() -> None:
    """A redelivery found no such job while the store had lost it."""
    world = World()
    job_id = world.accept()
    event = world.requested(job_id)
    rejection = events.rejected(event, f"no such job: {job_id}", source="/darkroom/resize")
    restored = MemoryPipeline("recovery")
    created_at = datetime.fromtimestamp(world.now_s() - 60, tz=UTC)
    restored.jobs.restore([KeptJob(new=new_job(job_id=job_id), created_at=created_at)])
    recovery = build(restored.resources)

    assert recovery.handle(rejection) == Done()
    assert restored.dead_letters.list() == []

    later = events.rejected(restored.requested(job_id), "is no resize", source="/darkroom/resize")
    assert recovery.handle(later) == Done()
    assert len(restored.dead_letters.list()) == 1, "what is rejected now is kept"


def test_a_rejected_event_is_kept_with_its_reason() -> None:
    world = World()
    event = new_event("com.example.nonsense", "/shop", {"a": 1})

    world.recovery.handle(events.rejected(event, "no such type", source="/darkroom/resize"))

    (kept,) = world.kept()
    assert (kept.reason, kept.detail, kept.origin) == (
        "dev.darkroom.event.rejected",
        "no such type",
        "/darkroom/resize",
    )
    assert kept.event["id"] == event.id


def test_whatever_else_comes_as_a_dead_letter_is_kept() -> None:
    world = World()
    world.recovery.handle(new_event("com.example.unknown", "/shop", {}).with_extensions(knativeerrorcode="500"))
    (kept,) = world.kept()
    assert kept.event["type"] == "com.example.unknown"
    assert "500" in kept.detail


def test_the_sweep_emits_what_nobody_emitted() -> None:
    world = World()
    job_ids = {str(world.accept()) for _ in range(5)}
    world.advance(6)

    assert world.sweep() == Done()

    assert {event.subject for event in world.emitter.events} == job_ids
    assert {event.id.rpartition(".")[2] for event in world.emitter.events} == {"1"}


def test_a_job_that_is_given_up_while_the_stream_is_down_is_kept_by_a_later_sweep() -> None:
    """Fails if `kept` is called before the letter is stored."""
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)
    world.dead_letters.is_down = True

    assert isinstance(world.sweep(), TryAgain)
    assert world.record(job_id).status is JobStatus.FAILED

    world.dead_letters.is_down = False
    world.advance(61)
    assert world.sweep() == Done()
    assert [letter.job_id for letter in world.kept()] == [str(job_id)]
    world.advance(HOUR_S)
    world.sweep()
    assert len(world.kept()) == 1, "kept once"


def test_a_broker_that_is_down_does_not_keep_a_job_from_the_dead_letters() -> None:
    world = World()
    job_id = world.accept()
    world.spend_attempts(job_id)
    world.emitter.is_down = True

    world.sweep()

    assert [letter.job_id for letter in world.kept()] == [str(job_id)]
    world.advance(HOUR_S)
    world.sweep()
    assert len(world.kept()) == 1


def test_one_jobs_failure_does_not_stop_the_others_of_a_sweep() -> None:
    world = World()
    first = world.accept()
    world.advance(1)
    others = {str(world.accept()) for _ in range(3)}
    world.advance(6)
    healthy: Callable[[CloudEvent], None] = world.emitter.emit

    def refuse_the_first(event: CloudEvent) -> None:
        if event.subject == str(first):
            raise DependencyUnavailableError("broker", "not this one")
        healthy(event)

    world.emitter.emit = refuse_the_first  # type: ignore[method-assign]

    assert isinstance(world.sweep(), TryAgain)

    assert {event.subject for event in world.emitter.events} == others


def test_a_sweep_works_until_nothing_is_due() -> None:
    world = World()
    jobs = {str(world.accept()) for _ in range(2 * JOBS_AT_ONCE + 10)}
    world.advance(6)
    world.sweep()
    assert [event.subject for event in world.emitter.events].count(next(iter(jobs))) == 1
    assert {event.subject for event in world.emitter.events} == jobs


def test_a_sweep_that_sends_jobs_to_their_lane_goes_on_to_the_others() -> None:
    # Without a sink, no lane is advanced in the background between the steps.
    world = World(BROKER_WINDOW="2", K_SINK="")
    jobs = [world.accept_later() for _ in range(JOBS_AT_ONCE + 50)]
    for job_id in jobs:
        world.jobs.emitted(job_id, 1)
        world.recovery.handle(world.dead_letter(job_id))
        world.jobs.emitted(job_id, 2)
        world.recovery.handle(world.dead_letter(job_id))
    world.advance(HOUR_S)
    world.sweep()
    with_the_broker = [job_id for job_id in jobs if not world.record(job_id).in_lane]
    assert len(with_the_broker) == 2
    assert world.jobs.recover_overdue(limit=10, error=ImageCorruptError("bad")) == []


def test_a_sweep_emits_what_waits_in_a_lane_that_has_room() -> None:
    world = World(BROKER_WINDOW="2")
    first, _, waiting, last = (world.accept_later() for _ in range(4))
    world.jobs.fail(world.claim(first), ImageCorruptError("bad"))
    world.sweep()
    assert [event.subject for event in world.emitter.events] == [str(waiting)]
    assert world.record(last).in_lane


def test_a_dead_letter_that_gives_its_place_away_lets_the_next_follow() -> None:
    world = World(BROKER_WINDOW="1")
    tried, waiting = world.accept(), world.accept()
    world.jobs.emitted(tried, 1)
    for _ in range(2):
        world.recovery.handle(world.dead_letter(tried))
    eventually(lambda: str(waiting) in {event.subject for event in world.emitter.events}, within_s=5, what="its turn")


def test_a_sweep_over_a_slow_broker_ends_in_time_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    job_ids = {str(world.accept()) for _ in range(10)}
    world.advance(6)
    clock_s = 0.0
    monkeypatch.setattr("functions.recovery.recovery.time.monotonic", lambda: clock_s)
    healthy: Any = world.emitter.emit

    def slow(event: CloudEvent) -> None:
        nonlocal clock_s
        clock_s += 8
        healthy(event)

    world.emitter.emit = slow  # type: ignore[method-assign]

    assert isinstance(world.sweep(), TryAgain)
    assert len(world.emitter.events) == 3

    for _ in range(5):
        world.advance(6)
        clock_s = 0.0
        world.sweep()
    assert {event.subject for event in world.emitter.events} == job_ids


def test_a_job_that_nobody_ever_took_fails_with_an_error_that_says_so() -> None:
    world = World()
    job_id = world.accept()
    while not world.record(job_id).status.is_final:
        world.advance(2 * HOUR_S)
        world.sweep()
    (letter,) = world.kept()
    assert letter.reason == "dependency.unavailable"
    assert "no function took it" in letter.detail
