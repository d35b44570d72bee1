"""Reads jobs from PostgreSQL on an event loop. One connection serves all who wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from darkroom.adapters.jobs.batched_reading import BatchedJobReader, Found
from darkroom.adapters.jobs.postgres.connections import session_options, unavailable
from darkroom.adapters.jobs.postgres.records import record_of
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_GET = """
SELECT j.id, to_jsonb(j) FROM (
    SELECT * FROM darkroom.jobs WHERE id = ANY(%s) UNION ALL SELECT * FROM darkroom.finished WHERE id = ANY(%s)
) AS j
"""


class PostgresJobReader(BatchedJobReader):
    def __init__(self, url: str, *, answer_timeout_s: float = 2.0) -> None:
        super().__init__()
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._connection: AsyncConnection[Any] | None = None

    async def _read(self, ids: list[UUID]) -> dict[UUID, Found]:
        import psycopg

        had_connection = self._connection is not None
        try:
            try:
                return {**dict.fromkeys(ids), **await self._read_once(ids)}
            except psycopg.OperationalError:
                # A server that restarted has closed the connection.
                if not had_connection:
                    raise
                return {**dict.fromkeys(ids), **await self._read_once(ids)}
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
    try:
        return record_of(row)
    except JobUnreadableError as exc:
        return exc
