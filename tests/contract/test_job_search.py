"""What every job store promises of a search over the jobs of all keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.adapters.jobs import JobStore, Lease
from darkroom.adapters.jobs.searching import MAX_READ, FoundJobs, JobSearch
from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.jobs import JobStatus
from tests.contract.job_stores import STORES, JobStores, RedisJobStores, a_result, new_job, stores_named


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make()


def accept_one(store: JobStore, **changes: Any) -> UUID:
    return store.accept(new_job(**changes)).record.job_id


def claimed(store: JobStore, job_id: UUID) -> Lease:
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    return lease


def complete(store: JobStore, job_id: UUID) -> UUID:
    lease = claimed(store, job_id)
    store.complete(lease, a_result(lease), {})
    return job_id


def fail(store: JobStore, job_id: UUID) -> UUID:
    store.fail(claimed(store, job_id), ImageCorruptError("broken"))
    return job_id


def ids(found: FoundJobs) -> list[UUID]:
    return [record.job_id for record in found.records]


def all_pages(store: JobStore, limit: int, **filters: Any) -> list[UUID]:
    wanted, found = JobSearch(**filters), list[UUID]()
    page = store.search(wanted, limit=limit)
    while True:
        assert len(page.records) <= limit
        found += ids(page)
        if page.next is None:
            return found
        page = store.search(wanted, limit=limit, after=page.next)


def test_the_jobs_of_all_keys_come_newest_first(stores: JobStores, store: JobStore) -> None:
    made = []
    for owner in ("key-1", "", "key-2", "key-1"):
        made.append(accept_one(store, owner=owner))
        stores.advance(1)
    found = store.search(JobSearch(), limit=10)
    assert ids(found) == made[::-1]
    assert found.next is None
    assert found.records[0] == store.get(made[3])


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_have_every_job_once_also_of_one_moment(stores: JobStores, store: JobStore, limit: int) -> None:
    """A batch is accepted at one moment."""
    made = set[UUID]()
    for owner in ("key-1", "key-2", "key-3"):
        batch = [new_job(owner=owner) for _ in range(13)]
        made |= {accepted.record.job_id for accepted in store.accept_many(batch)}
        stores.advance(0.5)
    found = all_pages(store, limit)
    assert len(found) == 39
    assert set(found) == made


def test_a_search_is_for_all_that_is_asked_at_once(store: JobStore) -> None:
    queued, processing = accept_one(store), accept_one(store, owner="key-2")
    claimed(store, processing)
    crop = complete(store, accept_one(store, type="crop"))
    failed = fail(store, accept_one(store, owner="key-2"))
    cancelled = accept_one(store)
    store.cancel(cancelled, owner="key-1")
    assert all_pages(store, 1, status=JobStatus.QUEUED) == [queued]
    assert all_pages(store, 1, status=JobStatus.PROCESSING) == [processing]
    assert all_pages(store, 1, status=JobStatus.PROCESSING, owner="key-1") == []
    assert all_pages(store, 1, status=JobStatus.PROCESSING, owner="key-2") == [processing]
    assert set(all_pages(store, 1, status=JobStatus.FAILED)) == {failed, cancelled}
    assert all_pages(store, 1, job_type="crop") == [crop]
    assert all_pages(store, 1, job_type="crop", status=JobStatus.FAILED) == []
    assert all_pages(store, 1, error_code="image.corrupt") == [failed]
    assert all_pages(store, 1, error_code="job.cancelled", owner="key-1") == [cancelled]
    assert all_pages(store, 1, error_code="job.cancelled", owner="key-2") == []
    assert all_pages(store, 1, owner="") == []


@pytest.mark.parametrize("digits", [1, 4, 6, 8, 23, 36])
def test_the_beginning_of_an_id_finds_its_job(store: JobStore, digits: int) -> None:
    wanted = accept_one(store, job_id=UUID("0badcafe-0000-4000-8000-000000000001"))
    done = complete(store, accept_one(store, job_id=UUID("0badcafe-0000-4000-8000-000000000002")))
    for _ in range(5):
        accept_one(store, job_id=UUID(f"f{str(uuid4())[1:]}"))
    found = all_pages(store, 1, id_prefix=str(wanted)[:digits])
    assert set(found) == ({wanted} if digits == 36 else {wanted, done})
    assert all_pages(store, 1, id_prefix=str(done)[:digits], status=JobStatus.COMPLETED) == [done]


def test_a_search_can_be_of_an_age(stores: JobStores, store: JobStore) -> None:
    made = []
    for _ in range(5):
        made.append(accept_one(store))
        stores.advance(10)
    moments = [record.created_at for job_id in made if (record := store.get(job_id)) is not None]
    assert all_pages(store, 1, since=moments[3]) == [made[4], made[3]]
    assert all_pages(store, 1, before=moments[1]) == [made[0]]
    assert all_pages(store, 2, since=moments[1], before=moments[3]) == [made[2], made[1]]
    assert all_pages(store, 2, since=moments[4] + timedelta(seconds=1)) == []


def test_a_search_without_an_index_is_walked_in_bounded_steps(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make()
    rare = accept_one(store, type="crop", owner="key-2")
    stores.advance(1)
    for _ in range(3):
        store.accept_many([new_job() for _ in range(MAX_READ // 2)])
    found = store.search(JobSearch(job_type="crop"), limit=50)
    assert found.records == []
    assert 0 < found.looked_at <= MAX_READ
    assert found.next is not None
    assert all_pages(store, 50, job_type="crop") == [rare]
    stores.close()


def test_jobs_that_expired_are_passed_over(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make()
    first, second, third = (accept_one(store) for _ in range(3))
    stores.client.delete(f"darkroom:job:{second}")
    assert set(all_pages(store, 1)) == {first, third}
    stores.close()
