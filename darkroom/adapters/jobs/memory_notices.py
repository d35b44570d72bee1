"""Readers and notices of the store in memory, for functions that wait for jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from darkroom.adapters.jobs import (
    JobWatch,
)
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.watching import EventWatch
from darkroom.contract.jobs import JobRecord, JobStatus


class MemoryJobReader:
    """Reads one MemoryJobStore from an event loop."""

    def __init__(self, store: MemoryJobStore) -> None:
        self._store = store

    async def get(self, job_id: UUID) -> JobRecord | None:
        return self._store.get(job_id)

    async def close(self) -> None:
        """Nothing to close."""


class MemoryJobNotices:
    """Tells of the changes of one MemoryJobStore, whichever thread makes them."""

    def __init__(self, store: MemoryJobStore) -> None:
        self._watches: dict[EventWatch, asyncio.AbstractEventLoop] = {}
        store.on_change(self._changed)

    def watch(self, job_id: UUID) -> AbstractAsyncContextManager[JobWatch]:
        return self._watching(job_id)

    async def close(self) -> None:
        self._watches.clear()

    @asynccontextmanager
    async def _watching(self, job_id: UUID) -> AsyncIterator[JobWatch]:
        watch = EventWatch(job_id)
        self._watches[watch] = asyncio.get_running_loop()
        try:
            yield watch
        finally:
            self._watches.pop(watch, None)

    def _changed(self, job_id: UUID, status: JobStatus) -> None:
        for watch, loop in list(self._watches.items()):
            if watch.job_id == job_id:
                loop.call_soon_threadsafe(watch.wake)
