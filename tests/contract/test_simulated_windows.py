"""The window that the simulator uses lets the same jobs through, in the same order, as the job stores do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkroom.adapters.jobs import JobStore, Lane, Lease
from darkroom.contract.lanes import LaneWindow
from tests.contract.job_stores import JobStores, MemoryJobStores, RedisJobStores, a_result, new_job
from tests.servers import Server

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.sampled_from("abc"), st.sampled_from([0.5, 1.0, 4.0])),
        st.tuples(st.just("end"), st.integers(0, 100), st.none()),
    ),
    max_size=60,
)


@given(window=st.sampled_from([1, 2, 5, 20]), steps=STEPS)
@settings(max_examples=50)
def test_as_the_memory_store_does(window: int, steps: list[tuple[Any, ...]]) -> None:
    compare(MemoryJobStores(), window, steps)


@pytest.fixture
def redis_stores(redis: Server) -> Iterator[RedisJobStores]:
    stores = RedisJobStores(redis.url)
    yield stores
    stores.close()


@pytest.mark.slow
@given(window=st.sampled_from([1, 2, 5, 20]), steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_redis_does(redis_stores: RedisJobStores, window: int, steps: list[tuple[Any, ...]]) -> None:
    redis_stores.client.flushall()
    compare(redis_stores, window, steps)


def compare(stores: JobStores, window: int, steps: list[tuple[Any, ...]]) -> None:
    store, opened = stores.make(broker_window=window), LaneWindow(window).open()
    jobs: list[UUID] = []
    with_broker: list[int] = []
    for step, argument, turn in steps:
        if step == "accept":
            record = store.accept(new_job(owner=argument, turn=turn)).record
            stores.advance(0.01)
            jobs.append(record.job_id)
            is_in = opened.enter(len(jobs) - 1, argument, turn)
            assert is_in is not record.in_lane
            with_broker += [len(jobs) - 1] if is_in else []
        elif with_broker:
            item = with_broker.pop(argument % len(with_broker))
            released = list(opened.leave(item))
            assert [jobs[each] for each in released] == end(store, jobs[item])
            with_broker += released


def end(store: JobStore, job_id: UUID) -> list[UUID]:
    """End a job as a function does. Returns the jobs that are handed out then."""
    lease = store.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    _, ended = store.complete(lease, a_result(lease), {})
    assert ended is not None
    if not ended.makes_room:
        return []
    return [record.job_id for record in store.next_in_line(Lane(type="resize"), limit=100)]
