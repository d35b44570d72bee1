"""The outbox of one process: what it emits at once, what in the background, and what it leaves to others."""

from __future__ import annotations

from uuid import UUID

import pytest

from darkroom.adapters.jobs import UNEMITTED_JOBS_DUE_AFTER_S, Lane, Lease
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving import outbox
from darkroom.serving.outbox import FOUND_AT_ONCE, Outbox
from darkroom.serving.testing import MemoryPipeline
from tests.contract.job_stores import a_result
from tests.stack import eventually

RESIZE = Lane(type="resize")


class World(MemoryPipeline):
    """A pipeline whose broker can be away."""

    def __init__(self, **settings: str) -> None:
        super().__init__("ingest", settings={"BROKER_WINDOW": "2", **settings})
        self.is_away = False
        self.outbox = Outbox(self.resources)
        self._emit = self.emitter.emit
        self.emitter.emit = self.emit  # type: ignore[method-assign]

    def emit(self, event: CloudEvent) -> None:
        if self.is_away:
            raise DependencyUnavailableError("broker", "it is away")
        self._emit(event)

    def submit(self) -> UUID:
        self.advance(0.01)
        job_id = self.accept()
        self.outbox.emit(self.record(job_id))
        return job_id

    def emitted_jobs(self) -> list[str]:
        return [str(event.subject) for event in self.emitter.events]

    def end(self, job_id: UUID) -> None:
        lease = self.claim(job_id)
        _, record = self.jobs.complete(lease, a_result(lease), {})
        assert record is not None
        if record.makes_room:
            self.outbox.advance(RESIZE)

    def wait_for(self, *jobs: UUID) -> None:
        eventually(
            lambda: set(map(str, jobs)) <= set(self.emitted_jobs()),
            within_s=10,
            what=f"{len(jobs)} events were emitted",
        )


def test_a_job_with_room_is_emitted_before_its_caller_goes_on() -> None:
    world = World()
    job_id = world.submit()
    assert world.emitted_jobs() == [str(job_id)]


def test_a_job_that_waits_in_its_lane_is_emitted_when_another_has_ended() -> None:
    world = World()
    jobs = [world.submit() for _ in range(3)]
    assert world.emitted_jobs() == [str(job) for job in jobs[:2]]
    world.end(jobs[0])
    world.wait_for(jobs[2])
    assert len(world.emitted_jobs()) == 3


def test_what_the_broker_refused_is_sent_as_soon_as_it_is_back() -> None:
    world = World()
    world.is_away = True
    jobs = [world.submit() for _ in range(2)]
    assert world.emitted_jobs() == []
    world.is_away = False
    world.wait_for(*jobs)
    eventually(lambda: all(world.record(job).confirmed == 1 for job in jobs), within_s=10, what="they are confirmed")


def test_what_a_process_left_behind_is_sent_by_one_that_finds_the_broker_back() -> None:
    world = World(BROKER_WINDOW="off")
    world.is_away = True
    left = [world.accept() for _ in range(FOUND_AT_ONCE + 1)]
    world.advance(UNEMITTED_JOBS_DUE_AFTER_S)
    mine = world.submit()
    world.is_away = False
    world.wait_for(mine, *left)
    eventually(lambda: all(world.record(job).confirmed == 1 for job in left), within_s=10, what="they are confirmed")


def test_events_beyond_what_a_process_remembers_are_sent_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_UNSENT", 1)
    world = World(BROKER_WINDOW="off")
    world.is_away = True
    jobs = [world.submit() for _ in range(3)]
    world.advance(UNEMITTED_JOBS_DUE_AFTER_S)
    world.is_away = False
    world.wait_for(*jobs)


def test_a_turn_that_comes_while_the_broker_is_away_is_not_lost() -> None:
    world = World()
    jobs = [world.submit() for _ in range(4)]
    world.is_away = True
    world.end(jobs[0])
    world.end(jobs[1])
    # The second may stay in the lane: nothing more is handed out while the first cannot be sent.
    eventually(lambda: not world.record(jobs[2]).in_lane, within_s=10, what="the first was handed out")
    world.is_away = False
    world.wait_for(*jobs)


def test_a_chain_of_ends_empties_the_lane() -> None:
    world = World()
    jobs = [world.submit() for _ in range(30)]
    done = 0
    while done < len(jobs):
        world.wait_for(jobs[done])
        world.end(jobs[done])
        done += 1
    assert sorted(world.emitted_jobs()) == sorted(map(str, jobs)), "each once"


def test_a_function_without_a_sink_leaves_turns_to_others() -> None:
    world = World(K_SINK="")
    jobs = [world.submit() for _ in range(3)]
    world.end(jobs[0])
    assert world.record(jobs[2]).in_lane
    assert isinstance(world.jobs.claim(jobs[1], worker="w"), Lease)
