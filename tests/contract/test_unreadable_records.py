"""Records that another version wrote, or that were damaged: each is shown as such, and none stops the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import pytest
from redis import Redis

from darkroom.adapters.jobs import NextStep
from darkroom.adapters.jobs.reading import RedisJobReader
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.errors import ImageCrashedError, JobUnreadableError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.unreadable import UnreadableJob
from tests.contract.job_stores import RedisJobStores, new_job
from tests.servers import Server

NEVER_CLAIMED = ImageCrashedError("nobody")


@pytest.fixture
def stores(redis: Server) -> Iterator[RedisJobStores]:
    made = RedisJobStores(redis.url)
    yield made
    made.close()


@pytest.fixture
def store(stores: RedisJobStores) -> RedisJobStore:
    return stores.make()


def _retype(client: Redis, key: str) -> None:
    client.delete(key)
    client.set(key, "no hash")


CHANGES: dict[str, Callable[[Redis, str], object]] = {
    "an unknown status": lambda client, key: client.hset(key, "status", "paused"),
    "an unknown type": lambda client, key: client.hset(key, "type", "hologram"),
    "parameters that are no object": lambda client, key: client.hset(key, "parameters", "[1]"),
    "parameters that are no JSON": lambda client, key: client.hset(key, "parameters", "{"),
    "a missing field": lambda client, key: client.hdel(key, "request_id"),
    "a number that is none": lambda client, key: client.hset(key, "attempts", "many"),
    "a moment beyond all calendars": lambda client, key: client.hset(key, "created", "9" * 30),
    "a result without its size": lambda client, key: client.hset(key, "result", '{"storage_key": "k"}'),
    "a history of another form": lambda client, key: client.hset(key, "history", "1;2;"),
    "an error of another form": lambda client, key: client.hset(key, "error", '"text"'),
    "no hash at all": _retype,
}


@pytest.fixture(params=list(CHANGES))
def change(request: pytest.FixtureRequest) -> Callable[[Redis, str], object]:
    return CHANGES[request.param]


def _accepted(store: RedisJobStore) -> UUID:
    return store.accept(new_job()).record.job_id


def test_it_is_told_to_who_asks_for_it(
    stores: RedisJobStores, store: RedisJobStore, change: Callable[[Redis, str], object]
) -> None:
    job_id = _accepted(store)
    change(stores.client, f"darkroom:job:{job_id}")

    with pytest.raises(JobUnreadableError) as caught:
        store.get(job_id)

    assert caught.value.job.job_id == job_id
    assert caught.value.job.reason
    assert caught.value.job.view()["status"] == "unreadable"


def test_a_list_shows_the_others_as_ever(
    stores: RedisJobStores, store: RedisJobStore, change: Callable[[Redis, str], object]
) -> None:
    first, odd, last = (_accepted(store) for _ in range(3))
    change(stores.client, f"darkroom:job:{odd}")

    page = store.list_jobs("key-1", limit=10)

    assert page.next is None
    readable = {record.job_id for record in page.records if isinstance(record, JobRecord)}
    assert readable == {first, last}
    # What is no hash says of no owner whose it is.
    assert {job.job_id for job in page.records if isinstance(job, UnreadableJob)} <= {odd}


def test_readers_of_one_batch_each_get_an_answer(
    stores: RedisJobStores, store: RedisJobStore, change: Callable[[Redis, str], object]
) -> None:
    sound, odd = _accepted(store), _accepted(store)
    change(stores.client, f"darkroom:job:{odd}")

    async def read() -> Sequence[JobRecord | BaseException | None]:
        reader = RedisJobReader(stores.url)
        try:
            async with asyncio.timeout(10):
                return await asyncio.gather(reader.get(odd), reader.get(sound), return_exceptions=True)
        finally:
            await reader.close()

    refused, found = asyncio.run(read())

    assert isinstance(refused, JobUnreadableError)
    assert isinstance(found, JobRecord)


def test_a_sweep_recovers_the_others(
    stores: RedisJobStores, store: RedisJobStore, change: Callable[[Redis, str], object]
) -> None:
    odd, sound = _accepted(store), _accepted(store)
    stores.advance(10)
    change(stores.client, f"darkroom:job:{odd}")

    swept = store.recover_overdue(limit=10, error=NEVER_CLAIMED)

    assert [one.record.job_id for one in swept if one.record is not None] == [sound]
    assert [one.step for one in swept if one.record is not None] == [NextStep.EMIT]
    assert [one.unreadable.job_id for one in swept if one.unreadable is not None] == [odd]
    # It is looked at again later, by a version that can read it perhaps; not at once, over and over.
    assert store.recover_overdue(limit=10, error=NEVER_CLAIMED) == []


def test_a_job_that_this_version_cannot_sweep_is_left_as_it_is(stores: RedisJobStores, store: RedisJobStore) -> None:
    job_id = _accepted(store)
    stores.client.hset(f"darkroom:job:{job_id}", "status", "paused")
    stores.advance(10)
    before = stores.client.hgetall(f"darkroom:job:{job_id}")

    store.recover_overdue(limit=10, error=NEVER_CLAIMED)

    assert stores.client.hgetall(f"darkroom:job:{job_id}") == before


def test_a_claim_of_it_is_refused_and_does_not_count(stores: RedisJobStores, store: RedisJobStore) -> None:
    job_id = _accepted(store)
    stores.client.hset(f"darkroom:job:{job_id}", "type", "hologram")

    with pytest.raises(JobUnreadableError):
        store.claim(job_id, worker="w")

    stores.client.hset(f"darkroom:job:{job_id}", "type", "resize")
    record = store.get(job_id)
    assert record is not None
    assert (record.attempts, record.status) == (0, JobStatus.QUEUED)


def test_what_a_newer_version_added_is_left_out(stores: RedisJobStores, store: RedisJobStore) -> None:
    job_id = _accepted(store)
    result = {"storage_key": "k", "content_type": "image/png", "width": 1, "height": 1, "bytes": 1, "placeholder": "x"}
    stores.client.hset(
        f"darkroom:job:{job_id}",
        mapping={
            "status": "completed",
            "preset": "thumb",
            "result": json.dumps(result),
            "history": "1,0,5,,worker,more;",
            "error": '["code","message","more"]',
        },
    )

    record = store.get(job_id)

    assert record is not None
    assert record.result is not None
    assert (record.result.width, record.history[0].worker) == (1, "worker")
