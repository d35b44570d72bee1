"""What every job store promises of its lanes: a bounded window of jobs is with the broker, the others take turns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis

from darkroom.adapters.jobs import Accepted, JobStore, Lane, Lease, NewJob, NextStep, Outcome
from darkroom.contract import metrics
from darkroom.contract.errors import ImageCorruptError, ImageCrashedError
from darkroom.contract.jobs import JobRecord
from tests.contract.job_stores import STORES, JobStores, RedisJobStores, a_result, new_job, stores_named
from tests.servers import Server

WINDOW = 3
RESIZE = Lane(type="resize")
CRASHED = ImageCrashedError("the worker ended without reporting")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make(broker_window=WINDOW)


class Line:
    """Accepts jobs one after the other, so that the order of their acceptance is known."""

    def __init__(self, stores: JobStores, store: JobStore) -> None:
        self.stores, self.store = stores, store

    def accept(self, owner: str, number: int = 1, **changes: Any) -> list[JobRecord]:
        records = []
        for _ in range(number):
            records.append(self.store.accept(new_job(owner=owner, **changes)).record)
            self.stores.advance(0.01)
        return records

    def end(self, record: JobRecord) -> JobRecord:
        lease = self.store.claim(record.job_id, worker="w")
        assert isinstance(lease, Lease)
        outcome, ended = self.store.complete(lease, a_result(lease), {})
        assert outcome is Outcome.DONE
        assert ended is not None
        return ended

    def end_all(self, records: list[JobRecord], *, at_most: int = 1000) -> list[str]:
        """End jobs in the order in which the broker gets them. Returns the owners of those that followed."""
        owners: list[str] = []
        with_the_broker = list(records)
        while with_the_broker and len(owners) < at_most:
            if self.end(with_the_broker.pop(0)).makes_room:
                following = self.store.next_in_line(RESIZE, limit=100)
                with_the_broker += following
                owners += [record.owner for record in following]
        return owners


@pytest.fixture
def line(stores: JobStores, store: JobStore) -> Line:
    return Line(stores, store)


def test_what_has_no_room_waits_and_is_not_overdue(stores: JobStores, line: Line) -> None:
    accepted = line.accept("a", WINDOW + 2)
    assert [record.in_lane for record in accepted] == [False] * WINDOW + [True] * 2
    for record in accepted[:WINDOW]:
        line.store.emitted(record.job_id, 1)
    stores.advance(3600)
    overdue = {each.record.job_id for each in line.store.recover_overdue(limit=100, error=CRASHED) if each.record}
    assert overdue == {record.job_id for record in accepted[:WINDOW]}
    assert line.store.next_in_line(limit=100) == []


def test_an_end_makes_room_for_the_one_that_waits_longest(line: Line) -> None:
    accepted = line.accept("a", WINDOW + 2)
    assert line.end(accepted[0]).makes_room
    (following,) = line.store.next_in_line(RESIZE, limit=100)
    assert following.job_id == accepted[WINDOW].job_id
    assert not following.in_lane
    assert line.store.next_in_line(RESIZE, limit=100) == [], "one end, one place"


def test_nobody_is_told_of_room_that_nobody_wants(line: Line) -> None:
    accepted = line.accept("a", WINDOW)
    assert not any(line.end(record).makes_room for record in accepted)


def test_a_job_that_fails_or_is_given_up_makes_room_too(stores: JobStores, line: Line) -> None:
    line.store = stores.make(broker_window=2, max_attempts=1)
    failing, crashing, first, second = line.accept("a", 4)
    lease = line.store.claim(failing.job_id, worker="w")
    assert isinstance(lease, Lease)
    _, failed = line.store.fail(lease, ImageCorruptError("bad"))
    assert failed is not None
    assert failed.makes_room
    assert [record.job_id for record in line.store.next_in_line(limit=10)] == [first.job_id]

    assert isinstance(line.store.claim(crashing.job_id, worker="w"), Lease)
    stores.advance(60)
    assert NextStep.FAILED in {each.step for each in line.store.recover_overdue(limit=10, error=CRASHED)}
    assert [record.job_id for record in line.store.next_in_line(limit=10)] == [second.job_id]


@pytest.mark.parametrize("backlog", [10, 100])
def test_one_key_is_next_whatever_another_has_waiting(line: Line, backlog: int) -> None:
    with_the_broker = line.accept("a", WINDOW + backlog)[:WINDOW]
    line.accept("b")
    assert "b" in line.end_all(with_the_broker, at_most=2)


def test_keys_take_turns(line: Line) -> None:
    with_the_broker = line.accept("a", WINDOW + 6)[:WINDOW]
    line.accept("b", 6)
    line.accept("c", 2)
    owners = line.end_all(with_the_broker)
    assert sorted(owners[:6]) == ["a", "a", "b", "b", "c", "c"]
    assert len(max((list(run) for _, run in groupby(owners[6:])), key=len)) <= 2, owners


def test_a_turn_is_as_long_as_its_job_is_dear(line: Line) -> None:
    with_the_broker = line.accept("full", WINDOW)
    line.accept("dear", 10, turn=4.0)
    line.accept("cheap", 40, turn=1.0)
    owners = line.end_all(with_the_broker, at_most=25)
    assert owners.count("dear") == pytest.approx(5, abs=1)


def test_a_weight_of_two_gets_twice_as_many_turns(line: Line) -> None:
    with_the_broker = line.accept("full", WINDOW)
    line.accept("double", 40, turn=0.5)
    line.accept("single", 40, turn=1.0)
    owners = line.end_all(with_the_broker, at_most=30)
    assert owners.count("double") == pytest.approx(20, abs=1)


def test_going_away_and_coming_back_gains_no_turns(line: Line) -> None:
    """A key that always has one job waiting is served as often as one that has many."""
    with_the_broker = line.accept("full", WINDOW)
    line.accept("many", 40)
    line.accept("one")
    served: list[str] = []
    while len(served) < 20:
        line.end(with_the_broker.pop(0))
        for record in line.store.next_in_line(RESIZE, limit=10):
            with_the_broker.append(record)
            served.append(record.owner)
            if record.owner == "one":
                line.accept("one")
    assert served.count("one") == pytest.approx(10, abs=1)


def test_lanes_do_not_share_a_window(line: Line) -> None:
    assert line.accept("a", WINDOW + 1)[-1].in_lane
    assert not line.accept("a", type="crop", parameters={"width": 10, "height": 10})[0].in_lane
    assert not line.accept("a", cost_class="heavy")[0].in_lane


def test_jobs_handed_out_are_due_like_those_just_accepted(stores: JobStores, line: Line) -> None:
    first, *_, waiting = line.accept("a", WINDOW + 1)
    line.end(first)
    (handed_out,) = line.store.next_in_line(limit=10)
    assert handed_out.job_id == waiting.job_id
    stores.advance(6)
    due = {each.record.job_id: each.step for each in line.store.recover_overdue(limit=10, error=CRASHED) if each.record}
    assert due[waiting.job_id] is NextStep.EMIT, "whoever was to emit it died"


def test_a_limit_leaves_the_others_in_line(line: Line) -> None:
    with_the_broker = line.accept("a", WINDOW + 5)[:WINDOW]
    for record in with_the_broker:
        line.end(record)
    assert [len(line.store.next_in_line(limit=2)) for _ in range(3)] == [2, 1, 0]


def test_a_dead_letter_that_has_to_wait_gives_its_place_away(stores: JobStores, line: Line) -> None:
    tried, *_, waiting = line.accept("a", WINDOW + 1)
    line.store.emitted(tried.job_id, 1)
    assert line.store.recover(tried.job_id, CRASHED).step is NextStep.EMIT
    line.store.emitted(tried.job_id, 2)
    assert line.store.recover(tried.job_id, CRASHED).step is NextStep.NOTHING
    assert [record.job_id for record in line.store.next_in_line(limit=10)] == [waiting.job_id]

    stores.advance(3600)
    line.store.recover_overdue(limit=10, error=CRASHED)
    record = line.store.get(tried.job_id)
    assert record is not None
    assert record.in_lane, "the window is full again"
    assert record.emissions == 3, "a new event, or the broker would take it for the one before"


def test_a_redriven_job_waits_its_turn(line: Line) -> None:
    accepted = line.accept("a", WINDOW + 1)
    lease = line.store.claim(accepted[0].job_id, worker="w")
    assert isinstance(lease, Lease)
    line.store.fail(lease, ImageCorruptError("bad"))
    assert len(line.store.next_in_line(limit=10)) == 1
    redriven = line.store.redrive(accepted[0].job_id)
    assert redriven.step is NextStep.WAIT
    line.end(accepted[1])
    (following,) = line.store.next_in_line(limit=10)
    assert (following.job_id, following.emissions) == (accepted[0].job_id, 2)


def test_a_waiting_job_whose_event_comes_all_the_same_is_done(line: Line) -> None:
    *with_the_broker, waiting = line.accept("a", WINDOW + 1)
    line.end(waiting)
    line.end(with_the_broker[0])
    assert line.store.next_in_line(limit=10) == []


def test_a_confirmation_gives_a_waiting_job_no_deadline(stores: JobStores, line: Line) -> None:
    *_, waiting = line.accept("a", WINDOW + 1)
    line.store.emitted(waiting.job_id, 1)
    stores.advance(3600)
    overdue = {each.record.job_id for each in line.store.recover_overdue(limit=10, error=CRASHED) if each.record}
    assert waiting.job_id not in overdue


def test_the_same_request_finds_its_job_in_the_lane(line: Line) -> None:
    line.accept("a", WINDOW)
    job = new_job(owner="a", idempotency_key="k")
    first, second = line.store.accept(job), line.store.accept(NewJob(**{**vars(job), "job_id": uuid4()}))
    assert isinstance(first, Accepted)
    assert (first.created, second.created) == (True, False)
    assert first.record.in_lane
    assert second.record.in_lane
    assert in_lanes(line.store) == 1


def test_unemitted_jobs_are_handed_out_once_they_are_due(stores: JobStores, line: Line) -> None:
    lost, taken, claimed = line.accept("a", 3)
    line.store.emitted(taken.job_id, 1)
    assert isinstance(line.store.claim(claimed.job_id, worker="w"), Lease)
    assert line.store.unemitted(limit=10) == [], "its caller may still be about to emit it"
    stores.advance(6)
    (again,) = line.store.unemitted(limit=10)
    assert (again.job_id, again.emissions) == (lost.job_id, 1), "the same event, which the broker may have"
    assert line.store.unemitted(limit=10) == []


def test_without_a_window_nobody_waits(stores: JobStores, line: Line) -> None:
    line.store = stores.make()
    assert not any(record.in_lane for record in line.accept("a", 50))


def test_the_waiting_jobs_are_counted_by_lane(line: Line) -> None:
    line.accept("a", WINDOW + 2)
    line.accept("b", 2)
    assert in_lanes(line.store) == 4
    assert line.store.statistics()[metrics.JOBS_OUTBOX][()] == 0


def in_lanes(store: JobStore) -> float:
    value = store.statistics()[metrics.JOBS_IN_LANES]["resize", "standard"]
    assert isinstance(value, int | float)
    return value


def test_room_is_told_of_when_a_quarter_of_the_window_is_free(stores: JobStores, line: Line) -> None:
    line.store = stores.make(broker_window=20)
    first, second, third, fourth, fifth, *_ = line.accept("a", 30)
    assert not any(line.end(record).makes_room for record in (first, second, third, fourth))
    assert line.end(fifth).makes_room
    assert len(line.store.next_in_line(limit=10)) == 5


def test_room_for_the_last_that_waits_is_told_of_at_once(stores: JobStores, line: Line) -> None:
    line.store = stores.make(broker_window=20)
    first, *_ = line.accept("a", 21)
    assert line.end(first).makes_room


def test_a_sweep_counts_the_overdue_jobs_that_now_wait(stores: JobStores, line: Line) -> None:
    """Or a sweep that asks for 10 and gets fewer would take them for the last."""
    tried = line.accept("a", 2 * WINDOW)
    for record in tried:
        line.store.emitted(record.job_id, 1)
        line.store.recover(record.job_id, CRASHED)
    stores.advance(3600)
    steps = [each.step for each in line.store.recover_overdue(limit=WINDOW, error=CRASHED)]
    assert len(steps) == WINDOW


# --- Redis alone ------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(redis: Server) -> Iterator[Redis]:
    stores = RedisJobStores(redis.url)
    yield stores.client
    stores.close()


def test_a_retracted_job_leaves_its_lane(redis: Server, client: Redis) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make(broker_window=1)
    first, second = new_job(), new_job()
    store.accept(first)
    store.accept(second)
    for job in (first, second):
        caller = client.hget(f"darkroom:job:{job.job_id}", "caller")
        assert store._script("retract", str(caller), 0, str(job.job_id)) == ["done"]
    assert client.keys("darkroom:window:*") == client.keys("darkroom:line:*") == client.keys("darkroom:turns:*") == []
    stores.close()


def test_places_of_vanished_records_are_free_again(redis: Server, client: Redis) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make(broker_window=2)
    records = [store.accept(new_job()).record for _ in range(4)]
    client.delete(*(f"darkroom:job:{record.job_id}" for record in records[:2]))
    assert set(ids(store.next_in_line(limit=10))) == set(ids(records[2:]))
    stores.close()


def test_a_window_that_is_taken_away_lets_everybody_go(redis: Server, client: Redis) -> None:
    stores = RedisJobStores(redis.url)
    Line(stores, stores.make(broker_window=WINDOW)).accept("a", WINDOW + 4)
    assert len(stores.make().next_in_line(limit=100)) == 4
    stores.close()


def test_an_idle_lane_leaves_nothing_behind(redis: Server, client: Redis) -> None:
    stores = RedisJobStores(redis.url)
    line = Line(stores, stores.make(broker_window=2))
    with_the_broker = line.accept("a", 5)[:2]
    line.accept("b", 5)
    line.end_all(with_the_broker)
    assert [key for key in client.keys("darkroom:*") if "lane" in key or "turn" in key or "line:" in key] == []
    assert client.keys("darkroom:window:*") == []
    stores.close()


def ids(records: list[JobRecord]) -> list[UUID]:
    return [record.job_id for record in records]
