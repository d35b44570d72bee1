"""What job notices promise to those who wait: no change between the look and the wait is missed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from darkroom.adapters.jobs import JobNotices, JobStore, Lease
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.memory_notices import MemoryJobNotices
from darkroom.adapters.jobs.notices import RedisJobNotices
from darkroom.adapters.jobs.postgres.notices import PostgresJobNotices
from darkroom.adapters.jobs.redis import CHANGES_CHANNEL, RedisJobStore
from darkroom.contract.errors import ImageCorruptError
from tests.contract.job_stores import STORES, new_job, stores_named
from tests.servers import Server, redis_server, running

SOON_S = 10.0
A_MOMENT_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Pair:
    store: JobStore
    notices: Callable[[], JobNotices]


@pytest.fixture(params=STORES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "memory":
        memory = MemoryJobStore()
        yield Pair(store=memory, notices=lambda: MemoryJobNotices(memory))
        return
    stores = stores_named(request.param, request)
    url: str = request.getfixturevalue(request.param).url
    notices = RedisJobNotices if request.param == "redis" else PostgresJobNotices
    yield Pair(store=stores.make(), notices=lambda: notices(url))
    stores.close()


@asynccontextmanager
async def opened(make: Callable[[], JobNotices]) -> AsyncIterator[JobNotices]:
    notices = make()
    try:
        yield notices
    finally:
        await notices.close()


def accepted(store: JobStore) -> UUID:
    return store.accept(new_job()).record.job_id


def in_a_thread(call: Callable[[], object]) -> Awaitable[object]:
    return asyncio.get_running_loop().run_in_executor(None, call)


def test_a_change_after_the_watch_began_is_noticed_even_before_the_wait(pair: Pair) -> None:
    async def scene() -> bool:
        async with opened(pair.notices) as notices:
            job_id = accepted(pair.store)
            async with notices.watch(job_id) as watch:
                await watch.changed(timeout_s=A_MOMENT_S)  # of the subscription itself
                await in_a_thread(lambda: pair.store.claim(job_id, worker="worker-1"))
                return await watch.changed(timeout_s=SOON_S)

    assert asyncio.run(scene())


def test_a_rendition_that_was_made_is_noticed(pair: Pair) -> None:
    async def scene() -> bool:
        async with opened(pair.notices) as notices:
            job_id = accepted(pair.store)
            lease = pair.store.claim(job_id, worker="worker-1")
            assert isinstance(lease, Lease)
            async with notices.watch(job_id) as watch:
                await watch.changed(timeout_s=A_MOMENT_S)
                await in_a_thread(lambda: pair.store.rendered(lease, "thumb", ImageCorruptError("no")))
                return await watch.changed(timeout_s=SOON_S)

    assert asyncio.run(scene())


def test_every_waiter_of_a_job_is_notified(pair: Pair) -> None:
    async def scene() -> list[bool]:
        async with opened(pair.notices) as notices:
            job_id = accepted(pair.store)

            async def wait() -> bool:
                async with notices.watch(job_id) as watch:
                    await watch.changed(timeout_s=A_MOMENT_S)
                    ready.release()
                    return await watch.changed(timeout_s=SOON_S)

            ready = asyncio.Semaphore(0)
            waiters = [asyncio.create_task(wait()) for _ in range(20)]
            for _ in waiters:
                await ready.acquire()
            await in_a_thread(lambda: pair.store.claim(job_id, worker="worker-1"))
            return await asyncio.gather(*waiters)

    assert asyncio.run(scene()) == [True] * 20


def test_other_jobs_changes_wake_nobody(pair: Pair) -> None:
    async def scene() -> bool:
        async with opened(pair.notices) as notices:
            job_id, other = accepted(pair.store), accepted(pair.store)
            async with notices.watch(job_id) as watch, notices.watch(other) as other_watch:
                await watch.changed(timeout_s=A_MOMENT_S)
                await other_watch.changed(timeout_s=A_MOMENT_S)
                await in_a_thread(lambda: pair.store.claim(other, worker="worker-1"))
                assert await other_watch.changed(timeout_s=SOON_S)
                return await watch.changed(timeout_s=A_MOMENT_S)

    assert not asyncio.run(scene())


def test_a_waiter_follows_a_job_to_its_end(pair: Pair) -> None:
    async def scene() -> list[str]:
        seen: list[str] = []
        async with opened(pair.notices) as notices:
            job_id = accepted(pair.store)
            async with notices.watch(job_id) as watch:
                worker = threading.Thread(target=lambda: work(pair.store, job_id))
                worker.start()
                while True:
                    record = pair.store.get(job_id)
                    assert record is not None
                    seen.append(record.status)
                    if record.status.is_final:
                        worker.join()
                        return seen
                    assert await watch.changed(timeout_s=SOON_S), seen

    assert asyncio.run(scene())[-1] == "failed"


def work(store: JobStore, job_id: UUID) -> None:
    lease = store.claim(job_id, worker="worker-1")
    assert isinstance(lease, Lease)
    store.fail(lease, ImageCorruptError("bad"))


def test_nobody_is_subscribed_for_long_when_nobody_waits(redis: Server) -> None:
    """The changes of all jobs would come for nothing."""

    async def scene() -> list[int]:
        store, client, subscribers = RedisJobStore(redis.url), Redis.from_url(redis.url), []
        async with opened(lambda: RedisJobNotices(redis.url, kept_idle_s=A_MOMENT_S)) as notices:
            for _ in range(2):
                async with notices.watch(job_id := accepted(store)) as watch:
                    await watch.changed(timeout_s=A_MOMENT_S)  # of the subscription itself
                    await asyncio.sleep(2 * A_MOMENT_S)
                    subscribers.append(subscribers_of(client))
                    await in_a_thread(partial(store.claim, job_id, worker="worker-1"))
                    assert await watch.changed(timeout_s=SOON_S)
                await asyncio.sleep(2 * A_MOMENT_S)
                accepted(store)  # the word that ends it
                for _ in range(round(SOON_S / A_MOMENT_S)):
                    if not subscribers_of(client):
                        break
                    await asyncio.sleep(A_MOMENT_S)
                subscribers.append(subscribers_of(client))
        return subscribers

    assert asyncio.run(scene()) == [1, 0, 1, 0]


def subscribers_of(client: Redis) -> int:
    [(_channel, count)] = client.pubsub_numsub(CHANGES_CHANNEL)
    return int(count)


def test_waiters_are_woken_when_the_connection_is_made_anew(tmp_path: Path) -> None:
    async def scene(server: Server) -> tuple[bool, bool]:
        store = RedisJobStore(server.url)
        async with opened(lambda: RedisJobNotices(server.url)) as notices:
            job_id = accepted(store)
            async with notices.watch(job_id) as watch:
                await watch.changed(timeout_s=A_MOMENT_S)
                await in_a_thread(server.restart)
                woken = await watch.changed(timeout_s=SOON_S)
                await in_a_thread(lambda: store.claim(job_id, worker="worker-1"))
                told = await watch.changed(timeout_s=SOON_S)
        store.close()
        return woken, told

    with running(redis_server(tmp_path)) as server:
        assert asyncio.run(scene(server)) == (True, True)


def test_waiters_are_woken_when_a_connection_that_fell_silent_was_replaced(tmp_path: Path) -> None:
    async def scene(server: Server) -> bool:
        async with (
            opened(lambda: RedisJobNotices(server.url, silence_s=0.1, subscribed_within_s=0.3)) as notices,
            notices.watch(new_job().job_id) as watch,
        ):
            await watch.changed(timeout_s=A_MOMENT_S)
            with server.paused():
                assert not await watch.changed(timeout_s=1.0)
            return await watch.changed(timeout_s=SOON_S)

    with running(redis_server(tmp_path)) as server:
        assert asyncio.run(scene(server))


def test_a_watch_begins_without_redis_and_is_woken_when_it_is_there(tmp_path: Path) -> None:
    async def scene(server: Server) -> bool:
        async with (
            opened(lambda: RedisJobNotices(server.url, subscribed_within_s=0.1)) as notices,
            notices.watch(new_job().job_id) as watch,
        ):
            assert not await watch.changed(timeout_s=A_MOMENT_S)
            await in_a_thread(server.start)
            return await watch.changed(timeout_s=SOON_S)

    with running(redis_server(tmp_path)) as server:
        server.kill()
        assert asyncio.run(scene(server))


def test_one_subscription_serves_all_watches(redis: Server) -> None:
    async def scene() -> int:
        client: Redis = Redis.from_url(redis.url)
        async with (
            opened(lambda: RedisJobNotices(redis.url)) as notices,
            notices.watch(new_job().job_id),
            notices.watch(new_job().job_id),
        ):
            answer: Any = client.pubsub_numsub("darkroom:changes")
        client.close()
        return int(answer[0][1])

    assert asyncio.run(scene()) == 1
