"""The promises of every job store about jobs that are restored from storage, tested against Redis and in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from darkroom.adapters.jobs import (
    AlreadyFinal,
    JobStore,
    KeptJob,
    Lease,
    NewJob,
    NextStep,
    Outcome,
    Restoration,
)
from darkroom.adapters.jobs.admission import BacklogLimits, JobName
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract import metrics
from darkroom.contract.errors import DependencyUnavailableError, IdempotencyMismatchError, QuotaExceededError
from darkroom.contract.jobs import JobResult, JobStatus
from tests.contract.job_stores import (
    STORES,
    JobStores,
    MemoryJobStores,
    RedisJobStores,
    a_result,
    new_job,
    stores_named,
)
from tests.contract.postgres_stores import PostgresJobStores
from tests.servers import Server

HOUR = timedelta(hours=1)
ERROR = DependencyUnavailableError("broker", "a test")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def now(stores: JobStores) -> datetime:
    """The stores' time: that of memory does not pass by itself."""
    return stores.make().accept(new_job(owner="clock")).record.created_at


def kept(now: datetime, *, age: timedelta = HOUR, ended: timedelta | None = None, **changes: Any) -> KeptJob:
    """A job of this age, which completed so long ago; by default it has not."""
    job = new_job(**changes)
    result = None
    if ended is not None:
        result = JobResult(
            storage_key=f"processed/{job.job_id}.png", content_type="image/png", width=8, height=6, bytes=99
        )
    return KeptJob(new=job, created_at=now - age, result=result, finished_at=None if ended is None else now - ended)


def claimed(store: JobStore, job: NewJob | uuid.UUID) -> Lease:
    claim = store.claim(job if isinstance(job, uuid.UUID) else job.job_id, worker="w")
    assert isinstance(claim, Lease), claim
    return claim


def test_a_job_with_a_result_is_completed_as_it_was(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    job = kept(now, ended=timedelta(minutes=30), trace=f"00-{'a' * 32}-{'b' * 16}-01", cost_class="heavy")
    assert store.restore([job]) == [Restoration.COMPLETED]
    record = store.get(job.new.job_id)
    assert record is not None
    assert (record.status, record.result, record.created_at) == (JobStatus.COMPLETED, job.result, job.created_at)
    assert record.finished_at == job.finished_at
    assert record.restored_at is not None
    assert record.restored_at >= now
    fields = ("type", "owner", "parameters", "storage_key", "request_id", "cost_class", "trace")
    assert [getattr(record, name) for name in fields] == [getattr(job.new, name) for name in fields]
    assert isinstance(store.claim(job.new.job_id, worker="w"), AlreadyFinal)


def test_a_job_without_a_result_is_done_as_if_it_had_just_been_accepted(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    job = kept(now, age=3 * HOUR)
    assert store.restore([job]) == [Restoration.QUEUED]
    [handed_out] = [record for record in store.next_in_line(limit=10) if record.job_id == job.new.job_id]
    assert (handed_out.status, handed_out.attempts, handed_out.emissions) == (JobStatus.QUEUED, 0, 1)
    assert handed_out.created_at == job.created_at
    lease = claimed(store, job.new)
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE


def test_a_record_that_exists_is_never_overwritten(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    job = store.accept(new_job(idempotency_key="one")).record
    lease = claimed(store, job.job_id)
    other = kept(now, ended=HOUR, job_id=job.job_id, parameters={"width": 1}, idempotency_key="one")
    before = store.get(job.job_id)
    assert store.restore([other, other]) == [Restoration.EXISTS] * 2
    assert store.get(job.job_id) == before
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE


def test_restoring_twice_restores_once(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    jobs = [kept(now), kept(now, ended=timedelta(minutes=1))]
    store.restore(jobs)
    before = [store.get(job.new.job_id) for job in jobs], store.backlog().by_status
    assert store.restore(jobs) == [Restoration.EXISTS] * 2
    assert ([store.get(job.new.job_id) for job in jobs], store.backlog().by_status) == before
    assert len([record for record in store.next_in_line(limit=10) if record.job_id == jobs[0].new.job_id]) == 1


def test_only_jobs_without_a_record_are_named(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    there, gone = store.accept(new_job()).record.job_id, uuid.uuid4()
    assert store.without_record([there, gone]) == {gone}
    assert store.without_record([]) == set()


def test_a_completed_job_whose_record_would_have_expired_is_not_restored(stores: JobStores, now: datetime) -> None:
    store = stores.make(times=JobTimes(final_kept_s=3600))
    old, new = kept(now, age=5 * HOUR, ended=2 * HOUR), kept(now, age=5 * HOUR, ended=HOUR / 2)
    assert store.restore([old, new]) == [Restoration.EXPIRED, Restoration.COMPLETED]
    assert store.get(old.new.job_id) is None
    assert stores.make(times=JobTimes(final_kept_s=None)).restore([old]) == [Restoration.COMPLETED]


def test_lists_are_in_the_order_of_acceptance(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    jobs = [kept(now, age=age * HOUR, ended=ended, owner="lists") for age, ended in ((1, None), (3, HOUR), (2, None))]
    store.restore(jobs)
    newest = store.accept(new_job(owner="lists")).record.job_id
    listed = [record.job_id for record in store.list_jobs("lists").records]
    assert listed == [newest, *(jobs[place].new.job_id for place in (0, 2, 1))]


def test_a_repeated_request_finds_the_restored_job(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    jobs = [kept(now, idempotency_key="a"), kept(now, idempotency_key="b", ended=timedelta(minutes=1))]
    store.restore(jobs)
    for job in jobs:
        repeated = new_job(idempotency_key=job.new.idempotency_key)
        again = store.accept(repeated)
        assert (again.created, again.record.job_id) == (False, job.new.job_id)
        with pytest.raises(IdempotencyMismatchError):
            store.accept(new_job(idempotency_key=job.new.idempotency_key, fingerprint="other" * 16))


def test_an_idempotency_key_that_has_been_used_since_stays_with_the_newer_job(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    newer = store.accept(new_job(idempotency_key="one")).record.job_id
    job = kept(now, idempotency_key="one")
    assert store.restore([job]) == [Restoration.QUEUED]
    assert store.accept(new_job(idempotency_key="one")).record.job_id == newer


def test_an_idempotency_key_is_bound_no_longer_than_it_was(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    store.restore([kept(now, age=25 * HOUR, idempotency_key="one")])
    assert store.accept(new_job(idempotency_key="one")).created


def test_quotas_count_what_was_restored(stores: JobStores, now: datetime) -> None:
    store = stores.make(limits=BacklogLimits(quota=2), **_fresh(stores))
    store.restore([kept(now, owner="q"), kept(now, owner="q"), kept(now, owner="q", ended=timedelta(minutes=1))])
    with pytest.raises(QuotaExceededError):
        store.admission("q", [JobName()])
    job = claimed(store, store.next_in_line(limit=1)[0].job_id)
    store.complete(job, a_result(job), {})
    store.admission("q", [JobName()])


def _fresh(stores: JobStores) -> dict[str, Any]:
    return {} if isinstance(stores, MemoryJobStores) else {"facts_kept_s": 0}


def test_statistics_agree_after_a_restoration(stores: JobStores, now: datetime) -> None:
    store = stores.make()
    store.restore([kept(now), kept(now, ended=timedelta(minutes=1)), kept(now, ended=timedelta(minutes=2))])
    readings = store.statistics()
    accepted = sum(readings[metrics.JOBS_ACCEPTED].values())  # type: ignore[arg-type]
    ended = sum(readings[metrics.JOBS_ENDED].values())  # type: ignore[arg-type]
    assert ended == 2
    assert accepted == ended + sum(store.backlog().by_status.values())


def test_a_worker_of_the_earlier_life_can_end_nothing(stores: JobStores, now: datetime) -> None:
    """It would end the job under the fence of the worker that has it now, and both would report the end."""
    store = stores.make()
    earlier = store.accept(new_job()).record
    lease = claimed(store, earlier.job_id)
    _lose(stores, store)
    store = stores.make()
    store.restore([kept(now, age=timedelta(0), job_id=earlier.job_id)])
    claimed(store, earlier.job_id)
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.STALE
    assert store.renew(lease) is Outcome.STALE


def test_a_second_restoration_has_higher_fences_than_the_first(stores: JobStores, now: datetime) -> None:
    store, job = stores.make(), kept(now)
    fences = []
    for _ in range(2):
        store.restore([job])
        fences.append(claimed(store, job.new).fence)
        _lose(stores, store)
        store = stores.make()
        stores.advance(1)
    assert fences[0] < fences[1]


def _lose(stores: JobStores, store: JobStore) -> None:
    """Lose all jobs. A store in memory begins empty when it is made."""
    if isinstance(stores, RedisJobStores):
        stores.client.flushall()
    if isinstance(stores, PostgresJobStores):
        stores.empty()


def test_the_events_of_a_restored_job_have_new_ids(stores: JobStores, now: datetime) -> None:
    """The broker would take them for duplicates of those that it delivered before."""
    store = stores.make()
    earlier = store.accept(new_job()).record
    _lose(stores, store)
    store = stores.make()
    store.restore([kept(now, job_id=earlier.job_id)])
    [record] = [one for one in store.next_in_line(limit=10) if one.job_id == earlier.job_id]
    assert record.event_id() != earlier.event_id()
    assert record.event_id().startswith(f"{earlier.job_id}.")


def test_a_restored_job_that_nobody_claims_is_recovered_like_any_other(stores: JobStores, now: datetime) -> None:
    store, job = stores.make(), kept(now)
    store.restore([job])
    assert store.next_in_line(limit=10)
    stores.advance(10)
    recovered = store.recover_overdue(limit=10, error=ERROR)
    assert (NextStep.EMIT, job.new.job_id) in [(one.step, one.record and one.record.job_id) for one in recovered]


def test_a_restored_job_waits_for_its_turn(stores: JobStores, now: datetime) -> None:
    store = stores.make(broker_window=1)
    busy = store.accept(new_job(type="crop")).record
    jobs = [kept(now, type="crop", owner="a"), kept(now, type="crop", owner="b")]
    store.restore(jobs)
    assert store.next_in_line(limit=10) == []
    lease = claimed(store, busy.job_id)
    store.complete(lease, a_result(lease), {})
    assert len(store.next_in_line(limit=10)) == 1


def test_keepers_are_owed_until_they_are_written(stores: JobStores) -> None:
    store, bodies = stores.make(), {uuid.uuid4(): b'{"job":"\\u00e9"}', uuid.uuid4(): b"{}"}
    assert store.owed_keepers(limit=10) == {}
    for job_id, body in bodies.items():
        store.owe_keeper(job_id, body)
    assert store.owed_keepers(limit=10) == bodies
    [one] = store.owed_keepers(limit=1)
    for _ in range(2):
        store.keeper_written(one)
    assert store.owed_keepers(limit=10) == {job_id: body for job_id, body in bodies.items() if job_id != one}


def test_redis_forgets_a_restored_job_when_it_would_have(redis: Server) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make(times=JobTimes(final_kept_s=3600))
    now = datetime.now(UTC)
    job = kept(now, age=2 * HOUR, ended=HOUR / 2)
    store.restore([job])
    left_s = int(stores.client.ttl(f"darkroom:job:{job.new.job_id}"))
    assert 1700 <= left_s <= 1800
    stores.close()
