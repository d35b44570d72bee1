"""Reads jobs from Redis on an event loop, in batches. Requests that arrive while one batch is read form the next one.

So a completion that wakes a thousand clients costs one read of one hash, and a thousand clients with one job each cost
one round trip per batch. No client needs a thread or a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from darkroom.adapters import redis_library
from darkroom.adapters.jobs.redis import JOB_KEY_PREFIX
from darkroom.adapters.jobs.redis_records import record_of, unreadable
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError
from darkroom.contract.jobs import JobRecord
from darkroom.errors import describe

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MAX_BATCH_SIZE = 500

Waiting = asyncio.Future[JobRecord | None]
Found = JobRecord | JobUnreadableError | None


class RedisJobReader:
    """For one event loop. It connects when the first job is read."""

    def __init__(self, url: str, *, answer_timeout_s: float = 2.0, key_prefix: str = JOB_KEY_PREFIX) -> None:
        self._url = url
        self._key_prefix = key_prefix
        self._answer_timeout_s = answer_timeout_s
        self._client: Redis | None = None
        self._next_batch: dict[UUID, Waiting] = {}
        """Requests that were not sent yet, so a caller that joins one sees everything that has happened until now."""
        self._reading: asyncio.Task[None] | None = None

    async def get(self, job_id: UUID) -> JobRecord | None:
        waiting = self._next_batch.get(job_id)
        if waiting is None:
            waiting = self._next_batch[job_id] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_requested(), name="job-reader")
        # Shielded: others may wait for the same answer.
        return await asyncio.shield(waiting)

    async def close(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def _read_requested(self) -> None:
        while self._next_batch:
            ids = list(self._next_batch)[:_MAX_BATCH_SIZE]
            batch = {job_id: self._next_batch.pop(job_id) for job_id in ids}
            found: Mapping[UUID, JobRecord | Exception | None]
            try:
                found = await self._read(ids)
            except Exception as exc:
                # Whatever it is, everyone who waits is told.
                found = dict.fromkeys(ids, exc)
            for job_id, waiting in batch.items():
                _answer(waiting, found[job_id])

    async def _read(self, ids: list[UUID]) -> dict[UUID, Found]:
        redis_library.load()
        from redis.exceptions import RedisError

        try:
            async with self._connected().pipeline(transaction=False) as pipeline:
                for job_id in ids:
                    pipeline.hgetall(f"{self._key_prefix}{job_id}")
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except RedisError as exc:
            raise DependencyUnavailableError("jobs", describe(exc)) from exc
        return {job_id: _found(fields, job_id) for job_id, fields in zip(ids, answers, strict=True)}

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
            # Retry once, immediately: a server that restarted has closed the open connections.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[ConnectionError],
        )


def _found(answer: Any, job_id: UUID) -> Found:
    """The record, or why this one cannot be read: the others of its batch can."""
    if isinstance(answer, Exception):
        return unreadable({}, job_id, str(answer))
    try:
        return record_of(answer, job_id) if answer else None
    except JobUnreadableError as exc:
        return exc


def _answer(waiting: Waiting, found: JobRecord | Exception | None) -> None:
    if not isinstance(found, Exception):
        waiting.set_result(found)
        return
    waiting.set_exception(found)
    # The caller may be gone by now: mark the exception as retrieved.
    waiting.exception()
