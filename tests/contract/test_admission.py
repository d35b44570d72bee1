"""What every job store promises of admission: who is refused, until when, and that repeats are not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from redis import Redis

from darkroom.adapters.jobs import JobStore, Lease, NewJob
from darkroom.adapters.jobs.admission import BacklogLimits, JobName
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.errors import BacklogFullError, IdempotencyMismatchError, ImageCorruptError, QuotaExceededError
from darkroom.contract.jobs import JobStatus
from tests.contract.job_stores import (
    STORES,
    JobStores,
    MemoryJobStores,
    RedisJobStores,
    a_result,
    new_job,
    stores_named,
)
from tests.servers import Server, redis_server, running

ANONYMOUS = JobName()


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


def limited(stores: JobStores, *, quota: int | None = None, max_backlog: int | None = None) -> JobStore:
    """A store that remembers nothing between two questions, so that each test sees the facts."""
    limits = BacklogLimits(quota=quota, max_backlog=max_backlog)
    return stores.make(limits=limits, **({} if isinstance(stores, MemoryJobStores) else {"facts_kept_s": 0.0}))


def accept(store: JobStore, number: int = 1, *, owner: str = "a") -> list[UUID]:
    return [store.accept(new_job(owner=owner)).record.job_id for _ in range(number)]


def end(store: JobStore, job_id: UUID) -> None:
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    store.complete(lease, a_result(lease), {})


def test_a_key_over_its_quota_is_refused_and_others_are_not(stores: JobStores) -> None:
    store = limited(stores, quota=3)
    accept(store, 3)
    for ask in (lambda: store.admission("a", [ANONYMOUS]), lambda: accept(store)):
        with pytest.raises(QuotaExceededError, match="has 3 unfinished jobs and asks for 1 more, the limit is 3"):
            ask()
    store.admission("b", [ANONYMOUS])
    accept(store, owner="b")


def test_a_full_backlog_refuses_everybody(stores: JobStores) -> None:
    store = limited(stores, max_backlog=3)
    accept(store, 2)
    accept(store, owner="b")
    for ask in (lambda: store.admission("c", [ANONYMOUS]), lambda: accept(store, owner="c")):
        with pytest.raises(BacklogFullError, match="3 jobs are unfinished and 1 more are asked for, the limit is 3"):
            ask()


def test_what_is_refused_leaves_nothing(stores: JobStores) -> None:
    store = limited(stores, quota=1)
    accept(store)
    refused = new_job(owner="a", idempotency_key="k")
    with pytest.raises(QuotaExceededError):
        store.accept(refused)
    assert store.get(refused.job_id) is None
    assert sum(store.backlog().by_status.values()) == 1
    assert len(store.list_jobs("a").records) == 1


@pytest.mark.parametrize("status", ["completed", "failed", "given up"])
def test_a_job_that_ends_makes_room(stores: JobStores, status: str) -> None:
    store = limited(stores, quota=1, max_backlog=1)
    (job_id,) = accept(store)
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    with pytest.raises(QuotaExceededError):
        accept(store)
    if status == "completed":
        store.complete(lease, a_result(lease), {})
    elif status == "failed":
        store.fail(lease, ImageCorruptError("bad"))
    else:
        for _ in range(3):
            stores.advance(60)
            store.claim(job_id, worker="w")
        assert (record := store.get(job_id)) is not None
        assert record.status is JobStatus.FAILED
    store.admission("a", [ANONYMOUS])
    accept(store)


def test_a_released_job_counts_once_and_a_redriven_one_again(stores: JobStores) -> None:
    store = limited(stores, quota=2)
    job_id, _ = accept(store, 2)
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    store.release(lease, ImageCorruptError("again"), counts=False)
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    store.fail(lease, ImageCorruptError("bad"))
    store.redrive(job_id)
    with pytest.raises(QuotaExceededError, match="has 2 unfinished"):
        accept(store)


def test_a_batch_is_refused_whole(stores: JobStores) -> None:
    store = limited(stores, quota=3)
    accept(store, 2)
    batch = [new_job(owner="a") for _ in range(2)]
    with pytest.raises(QuotaExceededError, match="asks for 2 more"):
        store.admission("a", [JobName(job_id=job.job_id) for job in batch])
    with pytest.raises(QuotaExceededError, match="asks for 2 more"):
        store.accept_many(batch)
    assert [store.get(job.job_id) for job in batch] == [None, None]
    with pytest.raises(QuotaExceededError, match="so many are never admitted at once") as refused:
        store.accept_many([new_job(owner="a") for _ in range(4)])
    assert refused.value.retry_after_s == 300
    assert len(store.accept_many(batch[:1])) == 1


def test_a_repeat_of_what_was_accepted_finds_its_job_over_the_quota(stores: JobStores) -> None:
    store = limited(stores, quota=2, max_backlog=2)
    named, by_id = new_job(owner="a", idempotency_key="k"), new_job(owner="a")
    store.accept(named)
    store.accept(by_id)
    store.admission("a", [JobName(idempotency_key="k")])
    store.admission("a", [JobName(idempotency_key="k"), JobName(job_id=by_id.job_id)])
    again = store.accept(NewJob(**{**vars(named), "job_id": uuid4()}))
    assert (again.record.job_id, again.created) == (named.job_id, False)
    assert [each.created for each in store.accept_many([named, by_id])] == [False, False]
    with pytest.raises(QuotaExceededError, match="asks for 1 more"):
        store.admission("a", [JobName(idempotency_key="k"), JobName(idempotency_key="another")])
    with pytest.raises(QuotaExceededError, match="asks for 1 more"):
        store.accept_many([named, new_job(owner="a")])
    with pytest.raises(IdempotencyMismatchError):
        store.accept(new_job(owner="a", idempotency_key="k", fingerprint="other"))


def test_an_event_that_is_twice_in_a_batch_needs_room_once(stores: JobStores) -> None:
    store = limited(stores, quota=1)
    batch = [new_job(owner="a", idempotency_key="k") for _ in range(2)]
    assert [each.created for each in store.accept_many(batch)] == [True, False]


def test_the_time_to_come_back_follows_from_the_rate_at_which_jobs_end(stores: JobStores) -> None:
    store = limited(stores, quota=10)
    ended, waiting = accept(store, 6), []
    for job_id in ended:
        end(store, job_id)
    stores.advance(40)
    waiting = accept(store, 10)
    with pytest.raises(QuotaExceededError) as one:
        accept(store)
    # Six in the 40 to 50 seconds since their step began: one in 7 to 9 seconds.
    assert 6 <= one.value.retry_after_s <= 10, one.value.detail
    assert "6 ended in the last" in one.value.detail
    with pytest.raises(QuotaExceededError) as four:
        store.accept_many([new_job(owner="a") for _ in range(4)])
    assert 26 <= four.value.retry_after_s <= 40
    end(store, waiting[0])
    accept(store)


def test_anothers_ends_do_not_make_a_keys_quota_look_fast(stores: JobStores) -> None:
    store = limited(stores, quota=1, max_backlog=2)
    end(store, accept(store, owner="fast")[0])
    accept(store)
    with pytest.raises(QuotaExceededError, match="none ended"):
        accept(store)
    accept(store, owner="b")
    with pytest.raises(BacklogFullError, match="1 ended"):
        accept(store, owner="c")


def test_where_nothing_ends_the_answer_says_so_and_grows_with_the_wait(stores: JobStores) -> None:
    store = limited(stores, max_backlog=1)
    accept(store)
    waits = []
    for seconds in (0, 100, 1000):
        stores.advance(seconds)
        with pytest.raises(BacklogFullError, match="none ended in the last minute") as refused:
            accept(store)
        waits.append(refused.value.retry_after_s)
    assert waits[0] == 10
    assert 100 <= waits[1] <= 120
    assert waits[2] == 300
    assert refused.value.headers() == {"retry-after": "300"}


def test_ends_are_forgotten_after_a_minute(stores: JobStores) -> None:
    store = limited(stores, quota=1)
    end(store, accept(store)[0])
    accept(store)
    stores.advance(70)
    with pytest.raises(QuotaExceededError, match="none ended"):
        accept(store)


def test_without_limits_nobody_is_refused(stores: JobStores) -> None:
    store = limited(stores)
    accept(store, 50)
    store.admission("a", [ANONYMOUS] * 50)


def test_a_crowd_gets_exactly_what_there_is_room_for(stores: JobStores) -> None:
    store = limited(stores, quota=20, max_backlog=30)

    def attempt(owner: str) -> bool:
        try:
            accept(store, owner=owner)
        except (QuotaExceededError, BacklogFullError):
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        admitted = list(threads.map(attempt, ["a", "b"] * 40))
    assert sum(admitted) == 30
    assert sum(store.backlog().by_status.values()) == 30
    assert sum(admitted[::2]) <= 20
    assert sum(admitted[1::2]) <= 20


def test_a_store_that_is_nearly_full_takes_no_more_jobs_but_finds_those_that_are_there() -> None:
    store = MemoryJobStore()
    store.accept(new_job(owner="a", idempotency_key="k"))
    store.max_bytes, store.used_bytes = 100, 86
    with pytest.raises(BacklogFullError, match=r"86 of 100 bytes of memory, .* above 85%"):
        store.admission("a", [ANONYMOUS])
    store.admission("a", [JobName(idempotency_key="k")])
    store.used_bytes = 85
    store.admission("a", [ANONYMOUS])


# --- Redis alone ------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(redis: Server) -> Iterator[Redis]:
    stores = RedisJobStores(redis.url)
    yield stores.client
    stores.close()


def store_of(redis: Server, **rules: object) -> RedisJobStore:
    return RedisJobStore(redis.url, **{"facts_kept_s": 0.0, **rules})  # type: ignore[arg-type]


def test_records_that_vanished_do_not_count_for_long(redis: Server, client: Redis) -> None:
    store = store_of(redis, limits=BacklogLimits(quota=2, max_backlog=2))
    for job_id in accept(store, 2):
        client.delete(f"darkroom:job:{job_id}")
    with pytest.raises(QuotaExceededError):
        accept(store)
    accept(store, 2)
    store.close()


def test_a_retracted_job_makes_room(redis: Server, client: Redis) -> None:
    store = store_of(redis, limits=BacklogLimits(quota=1))
    (job_id,) = accept(store)
    caller = client.hget(f"darkroom:job:{job_id}", "caller")
    assert store._script("retract", str(caller), 0, str(job_id)) == ["done"]
    assert client.keys("darkroom:unfinished*") == []
    accept(store)
    store.close()


def test_a_process_asks_a_few_times_a_second_at_most(redis: Server, client: Redis) -> None:
    store = RedisJobStore(redis.url, limits=BacklogLimits(quota=2), facts_kept_s=60)
    store.admission("a", [ANONYMOUS])
    before = commands(client)
    for _ in range(100):
        store.admission("a", [ANONYMOUS])
    assert commands(client) - before <= 2, "no more than this test asks itself"
    store.close()


def commands(client: Redis) -> int:
    stats: dict[str, int] = client.info("stats")
    return stats["total_commands_processed"]


def test_redis_memory_is_watched_and_a_full_one_is_a_full_backlog(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(redis_server(tmp_path_factory.mktemp("small"), "--appendonly", "no")) as server:
        store, client = store_of(server), Redis.from_url(server.url, decode_responses=True)
        store.accept(new_job(owner="a", idempotency_key="k"))
        used: int = client.info("memory")["used_memory"]
        client.config_set("maxmemory", used * 10 // 9)
        with pytest.raises(BacklogFullError, match="bytes of memory") as refused:
            store.admission("a", [ANONYMOUS])
        assert refused.value.retry_after_s == 60
        store.admission("a", [JobName(idempotency_key="k")])
        client.config_set("maxmemory", used // 2)
        with pytest.raises(BacklogFullError, match="all of its memory"):
            accept(store)
        client.config_set("maxmemory", used * 2)
        store.admission("a", [ANONYMOUS])
        accept(store)
        store.close()
        client.close()
