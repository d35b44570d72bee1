"""What waits for jobs while they are moved: reads both stores, and is notified by both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from darkroom.adapters.jobs import JobNotices, JobReader, JobWatch
from darkroom.adapters.jobs.moving.source import MOVING_KEY_PREFIX
from darkroom.adapters.jobs.notices import RedisJobNotices
from darkroom.adapters.jobs.postgres.notices import PostgresJobNotices
from darkroom.adapters.jobs.postgres.reading import PostgresJobReader
from darkroom.adapters.jobs.reading import RedisJobReader
from darkroom.contract.jobs import JobRecord


class MovingJobReader:
    def __init__(self, *, postgres_url: str, redis_url: str) -> None:
        new = PostgresJobReader(postgres_url)
        # Twice the new store: a job may arrive there while the others are read.
        self._readers: tuple[JobReader, ...] = (
            new,
            RedisJobReader(redis_url),
            RedisJobReader(redis_url, key_prefix=MOVING_KEY_PREFIX),
            new,
        )

    async def get(self, job_id: UUID) -> JobRecord | None:
        for reader in self._readers:
            if (record := await reader.get(job_id)) is not None:
                return record
        return None

    async def close(self) -> None:
        for reader in self._readers[:-1]:
            await reader.close()


class MovingJobNotices:
    def __init__(self, *, postgres_url: str, redis_url: str) -> None:
        self._notices: tuple[JobNotices, JobNotices] = (PostgresJobNotices(postgres_url), RedisJobNotices(redis_url))

    def watch(self, job_id: UUID) -> AbstractAsyncContextManager[JobWatch]:
        return self._watching(job_id)

    @asynccontextmanager
    async def _watching(self, job_id: UUID) -> AsyncIterator[JobWatch]:
        new, old = self._notices
        async with new.watch(job_id) as in_new, old.watch(job_id) as in_old:
            yield EitherWatch(in_new, in_old)

    async def close(self) -> None:
        for notices in self._notices:
            await notices.close()


class EitherWatch:
    def __init__(self, *watches: JobWatch) -> None:
        self._watches = watches

    async def changed(self, *, timeout_s: float) -> bool:
        waiting = [asyncio.ensure_future(watch.changed(timeout_s=timeout_s)) for watch in self._watches]
        try:
            while waiting:
                done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if any(task.result() for task in done):
                    return True
                waiting = list(rest)
            return False
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
