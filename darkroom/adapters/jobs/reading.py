"""Reads jobs from Redis on an event loop, in batches: what is asked for while one batch is under way is the next one.

So a completion that wakes a thousand clients costs one read of one hash, and a thousand clients with a job each cost
one round trip; neither needs a thread or a connection of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from darkroom.adapters import redis_library
from darkroom.adapters.jobs.redis import JOB_KEY_PREFIX
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MOST_AT_ONCE = 500

Waiting = asyncio.Future[JobRecord | None]


class RedisJobReader:
    """For one event loop. Nothing is connected before the first question."""

    def __init__(self, url: str, *, answer_timeout_s: float = 2.0) -> None:
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._client: Redis | None = None
        self._asked: dict[UUID, Waiting] = {}
        """The next batch. A future here was not sent yet, so whoever joins it sees all that has happened until now."""
        self._reading: asyncio.Task[None] | None = None

    async def get(self, job_id: UUID) -> JobRecord | None:
        waiting = self._asked.get(job_id)
        if waiting is None:
            waiting = self._asked[job_id] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all_that_is_asked(), name="job-reader")
        # Shielded: others may wait for the same answer.
        return await asyncio.shield(waiting)

    async def close(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def _read_all_that_is_asked(self) -> None:
        while self._asked:
            ids = list(self._asked)[:_MOST_AT_ONCE]
            batch = {job_id: self._asked.pop(job_id) for job_id in ids}
            try:
                found = await self._read(ids)
            except DependencyUnavailableError as exc:
                for waiting in batch.values():
                    waiting.set_exception(exc)
                    # Whoever asked may have gone meanwhile.
                    waiting.exception()
                continue
            for job_id, waiting in batch.items():
                waiting.set_result(found[job_id])

    async def _read(self, ids: list[UUID]) -> dict[UUID, JobRecord | None]:
        redis_library.load()
        from redis.exceptions import RedisError

        try:
            async with self._connected().pipeline(transaction=False) as pipeline:
                for job_id in ids:
                    pipeline.hgetall(f"{JOB_KEY_PREFIX}{job_id}")
                answers: list[dict[str, Any]] = await pipeline.execute()
        except RedisError as exc:
            raise DependencyUnavailableError("jobs", f"{type(exc).__name__}: {exc}") from exc
        return {
            job_id: record_of(fields, job_id) if fields else None for job_id, fields in zip(ids, answers, strict=True)
        }

    def _connected(self) -> Redis:
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _make_client(self) -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError

        return Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=self._answer_timeout_s,
            socket_timeout=self._answer_timeout_s,
            # Once more at once: a server that restarted closes the connections that were open.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[ConnectionError],
        )
