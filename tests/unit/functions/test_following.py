"""Many clients wait for one job: one watch, one read per change, and nothing left behind when they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.memory_notices import MemoryJobReader
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.serving.auth import NoKeys
from darkroom.serving.revocation import Revocations
from darkroom.serving.testing import MemoryPipeline
from functions.status.answers import JobAnswers
from functions.status.event_stream import EventStreamResponse
from functions.status.following import JobFollower


class CountingReader(MemoryJobReader):
    def __init__(self, store: MemoryJobStore) -> None:
        super().__init__(store)
        self.reads = 0
        self.fault: DependencyUnavailableError | None = None

    async def get(self, job_id: UUID) -> JobRecord | None:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return await super().get(job_id)


class Waiting:
    def __init__(self) -> None:
        pipeline = MemoryPipeline("status")
        self.store, self.resources = pipeline.jobs, pipeline.resources
        self.reader = self.resources.job_reader = CountingReader(self.store)
        self.follower = JobFollower(self.resources)
        self.job_id = pipeline.accept()
        self.claim = partial(pipeline.claim, self.job_id)

    async def next(self, *, timeout_s: float = 10.0) -> JobRecord | None:
        async with self.follower.follow(self.job_id) as following:
            return await following.next(after=following.number, timeout_s=timeout_s)


def run(scenario: Callable[[Waiting], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(Waiting()), timeout=20)

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Poll, because a change made elsewhere has no event to wait for."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def tasks_of_followings() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("following-")]


def test_a_change_is_read_once_however_many_wait() -> None:
    async def scenario(waiting: Waiting) -> None:
        clients = [asyncio.create_task(waiting.next()) for _ in range(200)]
        await asyncio.sleep(0.05)
        waiting.claim()
        told = await asyncio.gather(*clients)
        assert {record.status for record in told if record} == {JobStatus.PROCESSING}
        assert len(told) == 200
        assert waiting.reader.reads == 1
        assert tasks_of_followings() == []

    run(scenario)


def test_a_change_between_the_number_and_the_wait_is_not_missed() -> None:
    async def scenario(waiting: Waiting) -> None:
        async with waiting.follower.follow(waiting.job_id) as following:
            number = following.number
            waiting.claim()
            await until(lambda: following.number != number)
            record = await following.next(after=number, timeout_s=0.0)
            assert record is not None
            assert record.status is JobStatus.PROCESSING

    run(scenario)


def test_a_wait_without_a_change_ends_with_a_timeout() -> None:
    async def scenario(waiting: Waiting) -> None:
        with pytest.raises(TimeoutError):
            await waiting.next(timeout_s=0.05)
        assert tasks_of_followings() == []

    run(scenario)


def test_waiters_learn_that_the_store_cannot_be_read_and_see_the_next_change() -> None:
    async def scenario(waiting: Waiting) -> None:
        async with waiting.follower.follow(waiting.job_id) as following:
            waiting.reader.fault = DependencyUnavailableError("jobs", "it is down")
            lease = waiting.claim()
            with pytest.raises(DependencyUnavailableError, match="it is down"):
                await following.next(after=following.number, timeout_s=10)
            waiting.reader.fault, number = None, following.number
            waiting.store.release(lease, DependencyUnavailableError("storage", "x"), counts=False)
            record = await following.next(after=number, timeout_s=10)
            assert record is not None
            assert record.status is JobStatus.QUEUED

    run(scenario)


def test_one_who_leaves_takes_nothing_from_those_who_stay() -> None:
    async def scenario(waiting: Waiting) -> None:
        leaving, staying = asyncio.create_task(waiting.next()), asyncio.create_task(waiting.next())
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.wait([leaving])
        waiting.claim()
        record = await staying
        assert record is not None
        assert tasks_of_followings() == []

    run(scenario)


def test_a_stream_whose_client_is_gone_ends_and_follows_nobody() -> None:
    async def scenario(waiting: Waiting) -> None:
        record = waiting.store.get(waiting.job_id)
        assert record is not None
        sent: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        answer = EventStreamResponse(JobAnswers(waiting.resources), record, Revocations(NoKeys()))
        answer_task = asyncio.create_task(answer({"type": "http"}, receive, send))
        await until(lambda: any(b"event: queued" in message.get("body", b"") for message in sent))
        assert len(tasks_of_followings()) == 1
        gone.set()
        await answer_task
        assert tasks_of_followings() == []
        assert [message for message in sent if message.get("more_body") is False] == []

    run(scenario)
