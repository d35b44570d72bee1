"""Reads jobs from PostgreSQL on an event loop, in batches: requests that arrive while one is read form the next one.

One connection serves all who wait, so a thousand clients cost neither a thread nor a connection each.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from darkroom.adapters.jobs.postgres.connections import session_options, unavailable
from darkroom.adapters.jobs.postgres.records import record_of
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError
from darkroom.contract.jobs import JobRecord

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_MAX_BATCH_SIZE = 500
_GET = """
SELECT j.id, to_jsonb(j) FROM (
    SELECT * FROM darkroom.jobs WHERE id = ANY(%s) UNION ALL SELECT * FROM darkroom.finished WHERE id = ANY(%s)
) AS j
"""

Waiting = asyncio.Future[JobRecord | None]
Found = JobRecord | JobUnreadableError | None


class PostgresJobReader:
    """For one event loop. It connects when the first job is read."""

    def __init__(self, url: str, *, answer_timeout_s: float = 2.0) -> None:
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._connection: AsyncConnection[Any] | None = None
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

    async def _read_requested(self) -> None:
        while self._next_batch:
            ids = list(self._next_batch)[:_MAX_BATCH_SIZE]
            batch = {job_id: self._next_batch.pop(job_id) for job_id in ids}
            found: dict[UUID, Found | Exception]
            try:
                found = {**dict.fromkeys(ids), **await self._read(ids)}
            except Exception as exc:
                # Whatever it is, everyone who waits is told.
                found = dict.fromkeys(ids, exc)
            for job_id, waiting in batch.items():
                _answer(waiting, found[job_id])

    async def _read(self, ids: list[UUID]) -> dict[UUID, Found]:
        import psycopg

        had_connection = self._connection is not None
        try:
            try:
                return await self._read_once(ids)
            except psycopg.OperationalError:
                # A server that restarted has closed the connection.
                if not had_connection:
                    raise
                return await self._read_once(ids)
        except psycopg.Error as exc:
            raise unavailable(exc) from exc
        except TimeoutError as exc:
            raise DependencyUnavailableError("jobs", f"no answer within {self._answer_timeout_s:g} s") from exc

    async def _read_once(self, ids: list[UUID]) -> dict[UUID, Found]:
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                connection = await self._connected()
                cursor = await connection.execute(_GET, (ids, ids))
                return {job_id: _found(row) for job_id, row in await cursor.fetchall()}
        except BaseException:
            await self._disconnect()
            raise

    async def _connected(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection

        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._url, **session_options(self._answer_timeout_s))
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close()


def _found(row: dict[str, Any]) -> Found:
    """The record, or why this one cannot be read: the others of its batch can."""
    try:
        return record_of(row)
    except JobUnreadableError as exc:
        return exc


def _answer(waiting: Waiting, found: JobRecord | Exception | None) -> None:
    if not isinstance(found, Exception):
        waiting.set_result(found)
        return
    waiting.set_exception(found)
    # The caller may be gone by now: mark the exception as retrieved.
    waiting.exception()
