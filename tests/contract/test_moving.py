"""Jobs that move from Redis to PostgreSQL: wherever one is, each call finds it, and it keeps all that it had."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from darkroom.adapters.jobs import AlreadyFinal, Held, Lease, NewJob, NextStep, Outcome
from darkroom.adapters.jobs.erasing import Cancelled, Erased
from darkroom.adapters.jobs.moving.merging import merge_pages
from darkroom.adapters.jobs.moving.reading import MovingJobNotices, MovingJobReader
from darkroom.adapters.jobs.moving.store import MovingJobStore
from darkroom.adapters.jobs.owed import SendOutcome
from darkroom.adapters.jobs.searching import JobSearch
from darkroom.contract import metrics
from darkroom.contract.errors import (
    DependencyUnavailableError,
    IdempotencyMismatchError,
    ImageCorruptError,
    ImageCrashedError,
    InputNotFoundError,
)
from darkroom.contract.jobs import JobRecord, JobStatus
from tests.contract.job_stores import a_result, new_job
from tests.contract.moving_stores import MovingJobStores, begin_to_move
from tests.contract.test_job_record_model import INDEX, JobRecordMachine
from tests.servers import Server

CRASHED = ImageCrashedError("gone")
EXAMPLES = 8
WHERE = ("in redis", "on its way", "in postgres")
NOTHING_OF_JOBS = ("darkroom:drained", "darkroom:webhooks:endpoints", "darkroom:owners")
"""Keys that say where to look, and what lately ended."""


@pytest.fixture
def stores(redis: Server, postgres: Server) -> Iterator[MovingJobStores]:
    made = MovingJobStores(redis.url, postgres.url)
    yield made
    made.close()


@pytest.fixture
def store(stores: MovingJobStores) -> MovingJobStore:
    return stores.make()


def put(store: MovingJobStore, where: str, *job_ids: uuid.UUID) -> None:
    if where == "on its way":
        begin_to_move(store, *job_ids)
    elif where == "in postgres":
        store.mover.bring(job_ids)


def accepted_before(store: MovingJobStore, **changes: Any) -> NewJob:
    """By a function that knows Redis only."""
    job = new_job(**changes)
    store._old.accept(job)
    return job


def leased_before(store: MovingJobStore, **changes: Any) -> Lease:
    job = accepted_before(store, **changes)
    lease = store._old.claim(job.job_id, worker="before")
    assert isinstance(lease, Lease)
    return lease


def completed_before(store: MovingJobStore, **changes: Any) -> Lease:
    lease = leased_before(store, **changes)
    store._old.complete(lease, a_result(lease), {"render": 7})
    return lease


def status_of(store: MovingJobStore, job_id: uuid.UUID) -> JobStatus:
    record = store.get(job_id)
    assert record is not None
    return record.status


def homes(store: MovingJobStore, job_id: uuid.UUID) -> list[str]:
    found = {"redis": store._old.get(job_id), "postgres": store._new.get(job_id)}
    way = {"on its way": store.mover.source.on_its_way(job_id)}
    return [name for name, record in {**found, **way}.items() if record]


# --- one job, wherever it is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", WHERE)
def test_a_job_of_redis_is_claimed_and_ended_in_postgres(store: MovingJobStore, where: str) -> None:
    job = accepted_before(store)
    put(store, where, job.job_id)
    lease = store.claim(job.job_id, worker="w")
    assert isinstance(lease, Lease)
    assert store.renew(lease) is Outcome.DONE
    assert store.complete(lease, a_result(lease), {"render": 1})[0] is Outcome.DONE
    assert isinstance(store.claim(job.job_id, worker="again"), AlreadyFinal)
    assert homes(store, job.job_id) == ["postgres"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("end", ["complete", "fail", "release"])
def test_a_lease_of_redis_is_good_wherever_the_job_is(store: MovingJobStore, where: str, end: str) -> None:
    lease = leased_before(store)
    put(store, where, lease.job_id)
    assert store.renew(lease) is Outcome.DONE
    match end:
        case "complete":
            assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE
            assert status_of(store, lease.job_id) is JobStatus.COMPLETED
        case "fail":
            assert store.fail(lease, ImageCorruptError("bad"))[0] is Outcome.DONE
            assert status_of(store, lease.job_id) is JobStatus.FAILED
        case "release":
            assert store.release(lease, CRASHED, counts=False) is Outcome.DONE
            assert status_of(store, lease.job_id) is JobStatus.QUEUED


def test_a_job_that_a_worker_has_in_redis_stays_there_for_a_second_delivery(store: MovingJobStore) -> None:
    lease = leased_before(store)
    answer = store.claim(lease.job_id, worker="other")
    assert isinstance(answer, Held)
    assert answer.worker == "before"
    assert homes(store, lease.job_id) == ["redis"]


def test_a_worker_whose_job_was_claimed_after_the_move_is_refused(
    stores: MovingJobStores, store: MovingJobStore
) -> None:
    old = leased_before(store)
    stores.advance(60)
    new = store.claim(old.job_id, worker="new")
    assert isinstance(new, Lease)
    assert new.fence > old.fence
    assert store.complete(old, a_result(old), {})[0] is Outcome.STALE
    assert store.complete(new, a_result(new), {})[0] is Outcome.DONE


@pytest.mark.parametrize("where", WHERE)
def test_a_failed_job_is_handed_out_to_be_kept_and_redriven_wherever_it_is(
    stores: MovingJobStores, store: MovingJobStore, where: str
) -> None:
    job = accepted_before(store)
    spending = stores.make(max_attempts=0)
    spending._old.claim(job.job_id, worker="w")
    put(store, where, job.job_id)
    [step] = [each for each in store.recover_overdue(limit=5, error=CRASHED) if each.record]
    assert step.step is NextStep.FAILED
    store.kept(job.job_id)
    assert store.redrive(job.job_id).step is NextStep.EMIT
    assert status_of(store, job.job_id) is JobStatus.QUEUED
    assert store.redrive(job.job_id).step is NextStep.NOTHING


@pytest.mark.parametrize("where", WHERE)
def test_a_job_is_cancelled_and_erased_wherever_it_is(store: MovingJobStore, where: str) -> None:
    job = accepted_before(store, idempotency_key="k")
    put(store, where, job.job_id)
    assert isinstance(store.cancel(job.job_id, owner="key-1"), Cancelled)
    assert isinstance(store.erase(job.job_id, owner="key-1"), Erased)
    assert store.get(job.job_id) is None
    assert homes(store, job.job_id) == []
    assert store.accept(new_job(idempotency_key="k")).created
    assert {erasure.original for erasure in store.due_erasures(limit=5)} == {job.storage_key}


def test_an_original_that_a_job_of_redis_uses_is_not_erased(store: MovingJobStore) -> None:
    maker = accepted_before(store)
    user = accepted_before(store, storage_key=maker.storage_key)
    assert isinstance(store.erase(maker.job_id, owner="key-1"), Erased)
    assert [erasure.original for erasure in store.due_erasures(limit=5)] == [None]
    assert store.get(user.job_id) is not None


def test_what_was_erased_in_redis_stays_erased(store: MovingJobStore) -> None:
    job = accepted_before(store)
    store._old.erase(job.job_id, owner="key-1")
    assert store.is_erased(job.job_id)
    assert isinstance(store.claim(job.job_id, worker="late"), Erased)
    assert isinstance(store.erase(job.job_id, owner="key-1"), Erased)
    with pytest.raises(IdempotencyMismatchError):
        store.accept(job)
    with pytest.raises(InputNotFoundError):
        store.accept(new_job(storage_key=job.storage_key))
    [erasure] = store.due_erasures(limit=5)
    store.erasure_done(erasure)
    assert store.due_erasures(limit=5) == []


# --- accepting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("ended", [False, True])
def test_a_request_that_redis_knows_finds_its_job(store: MovingJobStore, where: str, ended: bool) -> None:
    make = completed_before if ended else leased_before
    first = make(store, idempotency_key="k").job_id
    put(store, where, first)
    again = store.accept(new_job(idempotency_key="k"))
    assert (again.created, again.record.job_id) == (False, first)
    with pytest.raises(IdempotencyMismatchError):
        store.accept(new_job(idempotency_key="k", fingerprint="e" * 64))


def test_redis_accepts_nothing_once_postgres_may(store: MovingJobStore) -> None:
    store.accept(new_job())
    with pytest.raises(DependencyUnavailableError, match="moved to another store"):
        store._old.accept(new_job())


def test_new_jobs_go_to_postgres(store: MovingJobStore) -> None:
    assert homes(store, store.accept(new_job()).record.job_id) == ["postgres"]


def test_an_acceptance_that_may_be_retracted_is_not_moved_before(store: MovingJobStore) -> None:
    job = accepted_before(store)
    assert store.mover.move([job.job_id]).held == 1
    store._old.emitted(job.job_id, 1)
    assert store.mover.move([job.job_id]).moved == 1


# --- all jobs --------------------------------------------------------------------------------------------------------


def everything(store: MovingJobStore) -> dict[uuid.UUID, JobRecord]:
    """One job of each kind, as Redis has it."""
    jobs = [
        accepted_before(store, idempotency_key="k", cost_class="heavy", trace=f"00-{'a' * 32}-{'b' * 16}-01").job_id,
        completed_before(store, webhooks="wh_1").job_id,
        leased_before(store, webhooks="wh_1").job_id,
    ]
    released = leased_before(store)
    store._old.release(released, CRASHED, counts=True)
    failed = leased_before(store)
    store._old.fail(failed, ImageCorruptError("bad"))
    renditions = {"renditions": {name: {"type": "resize", "parameters": {"width": 9}} for name in ("b", "a")}}
    several = leased_before(store, type="renditions", parameters=renditions)
    store._old.rendered(several, "b", a_result(several))
    store._old.rendered(several, "a", ImageCorruptError("bad"))
    jobs += [released.job_id, failed.job_id, several.job_id]
    return {job_id: found for job_id in jobs if (found := store._old.get(job_id)) is not None}


def test_a_job_has_all_that_it_had(store: MovingJobStore) -> None:
    before = everything(store)
    begin_to_move(store, *before)
    assert {job_id: store.get(job_id) for job_id in before} == before, "on their way"
    store.mover.bring(list(before))
    assert {job_id: store._new.get(job_id) for job_id in before} == before


def test_nothing_is_left_in_redis(stores: MovingJobStores, store: MovingJobStore) -> None:
    before = everything(store)
    store.mover.bring(list(store.mover.source.all_jobs()))
    store.mover.move_statistics()
    assert len(store.list_jobs("key-1").records) == len(before)
    left: Any = stores.old.client.keys("*")
    assert {key for key in left if not key.startswith(NOTHING_OF_JOBS)} == set()


def test_a_move_that_was_interrupted_is_finished_by_the_sweep(store: MovingJobStore) -> None:
    before = everything(store)
    begin_to_move(store, *before)
    store.recover_overdue(limit=100, error=CRASHED)
    assert {store._new.get(job_id) is not None for job_id in before} == {True}
    assert store.mover.source.remaining().on_their_way == 0


def test_jobs_of_both_stores_are_listed_in_their_order_and_once(store: MovingJobStore) -> None:
    old = [accepted_before(store).job_id for _ in range(5)]
    new = [store.accept(new_job()).record.job_id for _ in range(3)]
    store.mover.bring(old[1:3])
    listed, page = [], store.list_jobs("key-1", limit=3)
    listed += page.records
    while page.next is not None:
        page = store.list_jobs("key-1", limit=3, after=page.next)
        listed += page.records
    assert sorted(record.job_id for record in listed) == sorted([*old, *new])
    moments = [(record.created_at, record.job_id) for record in listed if isinstance(record, JobRecord)]
    assert moments == sorted(moments, reverse=True)


def test_a_search_finds_jobs_of_both_stores_in_their_order_and_once(store: MovingJobStore) -> None:
    old = [accepted_before(store).job_id for _ in range(5)]
    new = [store.accept(new_job()).record.job_id for _ in range(3)]
    store.mover.bring(old[1:3])
    page = store.search(JobSearch(), limit=3)
    found = list(page.records)
    while page.next is not None:
        page = store.search(JobSearch(), limit=3, after=page.next)
        found += page.records
    assert sorted(record.job_id for record in found) == sorted([*old, *new])
    moments = [(record.created_at, record.job_id) for record in found if isinstance(record, JobRecord)]
    assert moments == sorted(moments, reverse=True)


def test_the_condition_counts_the_unfinished_jobs_of_both_stores(store: MovingJobStore) -> None:
    for _ in range(2):
        accepted_before(store)
    store.accept(new_job())
    condition = store.condition(struck=9)
    assert condition.load.unfinished == 3
    assert condition.max_bytes == store._old.condition(struck=0).max_bytes


def test_merged_pages_never_pass_over_the_end_of_one(store: MovingJobStore) -> None:
    for _ in range(3):
        accepted_before(store)
    for _ in range(3):
        store.accept(new_job())
    short, long = store._new.list_jobs("key-1", limit=1), store._old.list_jobs("key-1", limit=9)
    merged = merge_pages(short, long, limit=9)
    assert [record.job_id for record in merged.records] == [record.job_id for record in short.records]
    assert merged.next == short.next


def test_counts_are_moved_once_and_never_shrink(store: MovingJobStore) -> None:
    completed_before(store)
    before = store.statistics()
    # A mover dies between the two steps, and the next one repeats the second.
    store.mover.source.take_statistics("token", order="take")
    assert store.statistics()[metrics.JOBS_ENDED] == before[metrics.JOBS_ENDED]
    store.mover.move_statistics()
    assert store.statistics()[metrics.JOB_DURATION] == before[metrics.JOB_DURATION]
    store.accept(new_job())
    assert store.statistics()[metrics.JOBS_ACCEPTED]["resize", "standard"] == 2


@pytest.mark.parametrize("where", WHERE)
def test_a_webhook_that_is_owed_is_sent_wherever_it_is(store: MovingJobStore, where: str) -> None:
    lease = completed_before(store, webhooks="wh_1")
    expected = store._old.owed.of_job(lease.job_id)
    put(store, where, lease.job_id)
    if where == "on its way":
        store.mover.finish()
    assert store.owed.of_job(lease.job_id) == expected
    owed = store.owed.take("wh_1")
    assert owed is not None
    assert (owed.body["status"], owed.tries) == ("completed", 0)
    store.owed.settle(owed, SendOutcome.TOLD)
    assert store.owed.of_job(lease.job_id) == []


def test_a_try_that_is_under_way_is_settled_after_the_move(store: MovingJobStore) -> None:
    lease = completed_before(store, webhooks="wh_1")
    owed = store.owed.take("wh_1")
    assert owed is not None
    store.mover.bring([lease.job_id])
    store.owed.settle(owed, SendOutcome.TOLD)
    assert store.owed.of_job(lease.job_id) == []


# --- those who wait --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", WHERE)
def test_who_waits_reads_the_job_wherever_it_is(
    store: MovingJobStore, redis: Server, postgres: Server, where: str
) -> None:
    job = accepted_before(store)
    put(store, where, job.job_id)

    async def read() -> JobRecord | None:
        reader = MovingJobReader(postgres_url=postgres.url, redis_url=redis.url)
        try:
            return await reader.get(job.job_id)
        finally:
            await reader.close()

    record = asyncio.run(read())
    assert record is not None
    assert record.job_id == job.job_id


@pytest.mark.parametrize(
    "change",
    [lambda old, new, job_id: old.claim(job_id, worker="w"), lambda old, new, job_id: new.mover.bring([job_id])],
)
def test_who_waits_is_woken_by_either_store(
    store: MovingJobStore, redis: Server, postgres: Server, change: Callable[..., object]
) -> None:
    job = accepted_before(store)

    async def wait() -> bool:
        notices = MovingJobNotices(postgres_url=postgres.url, redis_url=redis.url)
        try:
            async with notices.watch(job.job_id) as watch:
                while await watch.changed(timeout_s=0.05):
                    pass  # the subscription's own wake-up
                await asyncio.to_thread(change, store._old, store, job.job_id)
                return await watch.changed(timeout_s=30)
        finally:
            await notices.close()

    assert asyncio.run(wait())


# --- any interleaving ------------------------------------------------------------------------------------------------


class MovingMachine(JobRecordMachine):
    """The first jobs are in Redis, and move at any moment; those that take the place of erased ones are new."""

    def accept(self, job: NewJob) -> None:
        is_first = len(self.promised) < 2 and self.now_s == 0
        moving: Any = self.redis
        if is_first:
            assert moving._old.accept(job).created
            assert not moving._old.accept(job).created
            self.memory.accept(job)
            self.memory.accept(job)
            self.note_promise(job)
        else:
            super().accept(job)

    @rule(pick=INDEX, how=st.sampled_from(["all that may", "one", "a mover dies", "counts"]))
    def move(self, pick: int, how: str) -> None:
        moving: Any = self.redis
        match how:
            case "all that may":
                moving.mover.move(moving.mover.source.all_jobs())
            case "one":
                moving.mover.bring([self.job(pick)])
            case "a mover dies":
                begin_to_move(moving, self.job(pick))
            case "counts":
                moving.mover.move_statistics()


@pytest.mark.slow
def test_no_interleaving_breaks_a_promise_while_jobs_move(redis: Server, postgres: Server) -> None:
    class OnTheseServers(MovingMachine):
        def __init__(self) -> None:
            super().__init__(MovingJobStores(redis.url, postgres.url))

    run_state_machine_as_test(
        OnTheseServers,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
