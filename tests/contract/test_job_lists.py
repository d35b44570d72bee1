"""What every job store promises of an owner's list, and every reader of single jobs: Redis and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.adapters.jobs import JobPage, JobReader, JobStore, Lease
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.memory_notices import MemoryJobReader
from darkroom.adapters.jobs.postgres.reading import PostgresJobReader
from darkroom.adapters.jobs.reading import RedisJobReader
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, JobStatus
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


def complete(store: JobStore, job_id: UUID) -> None:
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    store.complete(lease, a_result(lease), {})


def ids(page: JobPage) -> list[UUID]:
    return [record.job_id for record in page.records]


def all_pages(store: JobStore, limit: int, **filters: Any) -> list[UUID]:
    found: list[UUID] = []
    page = store.list_jobs("key-1", limit=limit, **filters)
    while True:
        assert len(page.records) <= limit
        found += ids(page)
        if page.next is None:
            return found
        page = store.list_jobs("key-1", limit=limit, after=page.next, **filters)


def test_the_newest_job_comes_first(stores: JobStores, store: JobStore) -> None:
    made = []
    for _ in range(3):
        made.append(accept_one(store))
        stores.advance(1)
    page = store.list_jobs("key-1")
    assert ids(page) == made[::-1]
    assert page.next is None
    assert page.records[0] == store.get(made[2])


def test_a_list_has_its_owners_jobs_only(store: JobStore) -> None:
    mine, nobodys = accept_one(store), accept_one(store, owner="")
    accept_one(store, owner="key-2")
    assert ids(store.list_jobs("key-1")) == [mine]
    assert ids(store.list_jobs("")) == [nobodys]
    assert ids(store.list_jobs("key-3")) == []


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 100])
def test_pages_have_every_job_once_also_of_one_moment(stores: JobStores, store: JobStore, limit: int) -> None:
    made = {accept_one(store) for _ in range(4)}
    stores.advance(1)
    made |= {accept_one(store) for _ in range(3)}
    found = all_pages(store, limit)
    assert len(found) == 7
    assert set(found) == made


def test_new_jobs_do_not_shift_the_pages_that_follow(stores: JobStores, store: JobStore) -> None:
    made = []
    for _ in range(4):
        made.append(accept_one(store))
        stores.advance(1)
    first = store.list_jobs("key-1", limit=2)
    accept_one(store)
    second = store.list_jobs("key-1", limit=2, after=first.next)
    assert ids(first) + ids(second) == made[::-1]


def test_a_list_can_be_of_one_status_and_one_type(store: JobStore) -> None:
    queued = accept_one(store)
    crop = accept_one(store, type="crop")
    done = accept_one(store)
    complete(store, done)
    assert set(all_pages(store, 1, status=JobStatus.QUEUED)) == {queued, crop}
    assert all_pages(store, 1, status=JobStatus.COMPLETED) == [done]
    assert all_pages(store, 1, job_type="crop") == [crop]
    assert all_pages(store, 1, job_type="crop", status=JobStatus.COMPLETED) == []


def test_jobs_that_expired_are_passed_over(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make()
    first, second, third = (accept_one(store) for _ in range(3))
    stores.client.delete(f"darkroom:job:{second}")
    assert set(all_pages(store, 1)) == {first, third}
    stores.close()


def test_a_long_list_without_what_is_looked_for_is_walked_in_bounded_steps(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make()
    rare = accept_one(store, type="crop")
    stores.advance(1)
    for _ in range(1200):
        accept_one(store)
    page = store.list_jobs("key-1", job_type="crop")
    assert page.records == []
    assert page.next is not None
    assert ids(store.list_jobs("key-1", job_type="crop", after=page.next)) == [rare]
    stores.close()


# --- reading on an event loop ----------------------------------------------------------------------------------------


def read(store: JobStore, url: str | None, *job_ids: UUID) -> list[JobRecord | None]:
    async def run() -> list[JobRecord | None]:
        reader: JobReader
        if isinstance(store, MemoryJobStore):
            reader = MemoryJobReader(store)
        else:
            reader = (RedisJobReader if isinstance(store, RedisJobStore) else PostgresJobReader)(url or "")
        try:
            return list(await asyncio.gather(*(reader.get(job_id) for job_id in job_ids)))
        finally:
            await reader.close()

    return asyncio.run(run())


def test_a_reader_finds_what_the_store_finds(stores: JobStores, store: JobStore) -> None:
    job_id, done, unknown = accept_one(store), accept_one(store), uuid4()
    complete(store, done)
    url = getattr(stores, "url", None)
    assert read(store, url, job_id, unknown, done, job_id) == [
        store.get(id_) for id_ in (job_id, unknown, done, job_id)
    ]


def test_a_thousand_at_once_are_a_few_commands(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    store = stores.make()
    job_id = accept_one(store)
    before = stores.client.info("commandstats").get("cmdstat_hgetall", {"calls": 0})["calls"]
    assert len(read(store, redis.url, *[job_id] * 1000)) == 1000
    after = stores.client.info("commandstats")["cmdstat_hgetall"]["calls"]
    assert after - before <= 2
    stores.close()


def test_what_is_read_is_never_older_than_the_question(redis: Any) -> None:
    """A read that is under way when the job changes is not the answer to a question asked after the change."""
    stores = RedisJobStores(redis.url)
    store = stores.make()
    job_id = accept_one(store)

    async def run() -> JobRecord | None:
        reader = RedisJobReader(redis.url)
        early = asyncio.create_task(reader.get(job_id))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        complete(store, job_id)
        late = await reader.get(job_id)
        await early
        await reader.close()
        return late

    record = asyncio.run(run())
    assert record is not None
    assert record.status is JobStatus.COMPLETED
    stores.close()


def test_every_reader_of_an_unreachable_redis_gets_the_error() -> None:
    async def run() -> list[Any]:
        reader = RedisJobReader("redis://127.0.0.1:1")
        answers = await asyncio.gather(*(reader.get(uuid4()) for _ in range(3)), return_exceptions=True)
        await reader.close()
        return answers

    assert all(isinstance(answer, DependencyUnavailableError) for answer in asyncio.run(run()))
