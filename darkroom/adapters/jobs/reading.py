"""Reads jobs from Redis on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from darkroom.adapters import redis_library
from darkroom.adapters.jobs.batched_reading import BatchedJobReader, Found
from darkroom.adapters.jobs.redis import JOB_KEY_PREFIX
from darkroom.adapters.jobs.redis_records import record_of, unreadable
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError
from darkroom.errors import describe

if TYPE_CHECKING:
    from redis.asyncio import Redis


class RedisJobReader(BatchedJobReader):
    def __init__(self, url: str, *, answer_timeout_s: float = 2.0, key_prefix: str = JOB_KEY_PREFIX) -> None:
        super().__init__()
        self._url = url
        self._key_prefix = key_prefix
        self._answer_timeout_s = answer_timeout_s
        self._client: Redis | None = None

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        self._client = None

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
    if isinstance(answer, Exception):
        return unreadable({}, job_id, str(answer))
    try:
        return record_of(answer, job_id) if answer else None
    except JobUnreadableError as exc:
        return exc
