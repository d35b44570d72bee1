"""Notifies waiting clients of changes of jobs, by PostgreSQL's LISTEN. Each change is notified as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from darkroom.adapters.jobs.postgres.connections import session_options
from darkroom.adapters.jobs.subscribed_notices import SubscribedNotices

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CHANNEL = "darkroom_changes"


class PostgresJobNotices(SubscribedNotices):
    def _broken(self) -> tuple[type[Exception], ...]:
        import psycopg

        return (psycopg.Error, OSError, TimeoutError)

    async def _listen(self) -> None:
        async with self._listening() as connection:
            self._has_subscribed()
            while not self._is_idle():
                await self._take_until_silent(connection)
            self._has_ended()

    async def _take_until_silent(self, connection: AsyncConnection[Any]) -> None:
        """Take changes until there is none for a while, or nobody waits any more. Then test the connection."""
        async for notice in connection.notifies(timeout=self._silence_s):
            await self._take(notice.payload)
            if self._is_idle():
                return
        async with asyncio.timeout(self._silence_s):
            await connection.execute("SELECT 1")

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[AsyncConnection[Any]]:
        from psycopg import AsyncConnection

        async with asyncio.timeout(max(self._subscribed_within_s, 1.0)):
            connection = await AsyncConnection.connect(self._url, **session_options(self._silence_s))
        try:
            async with asyncio.timeout(max(self._subscribed_within_s, 1.0)):
                await connection.execute(f"LISTEN {CHANNEL}")
            yield connection
        finally:
            with suppress(Exception):
                await connection.close()
