"""Reads jobs on an event loop in batches: requests that arrive while one batch is read form the next one.

So a completion that wakes a thousand clients costs one read of one record, and a thousand clients with one job each
cost one round trip per batch. No client needs a thread or a connection of its own. The stores' readers say how a batch
is read.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias
from uuid import UUID

from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.jobs import JobRecord

_MAX_BATCH_SIZE = 500

Waiting = asyncio.Future[JobRecord | None]
Found: TypeAlias = JobRecord | JobUnreadableError | None
"""The record, or why this one cannot be read: the others of its batch can."""


class BatchedJobReader(ABC):
    """For one event loop. It connects when the first job is read."""

    def __init__(self) -> None:
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
        await self._disconnect()

    @abstractmethod
    async def _read(self, ids: list[UUID]) -> Mapping[UUID, Found]:
        """Return what was found of each of these jobs. Raises DependencyUnavailableError."""

    @abstractmethod
    async def _disconnect(self) -> None: ...

    async def _read_requested(self) -> None:
        while self._next_batch:
            ids = list(self._next_batch)[:_MAX_BATCH_SIZE]
            batch = {job_id: self._next_batch.pop(job_id) for job_id in ids}
            found: Mapping[UUID, Found | Exception]
            try:
                found = await self._read(ids)
            except Exception as exc:
                # Whatever it is, everyone who waits is told.
                found = dict.fromkeys(ids, exc)
            for job_id, waiting in batch.items():
                _answer(waiting, found[job_id])


def _answer(waiting: Waiting, found: JobRecord | Exception | None) -> None:
    if not isinstance(found, Exception):
        waiting.set_result(found)
        return
    waiting.set_exception(found)
    # The caller may be gone by now: mark the exception as retrieved.
    waiting.exception()
