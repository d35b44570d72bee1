"""Rates in PostgreSQL, where there is no Redis: exact across all instances, on the server's clock.

The function `ask_rate` is among the job store's (darkroom/adapters/jobs/postgres/migrations). Those who count in one
bucket do so one after the other; what is only asked and not counted waits for nobody. A count may be lost with the
server's machine, so no answer waits for the disk.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.rates import Rate, RateDecision
from darkroom.errors import describe

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_MICROSECONDS = 1_000_000
_CONNECTIONS = 4
_ASK = "SELECT * FROM darkroom.ask_rate(%s, %s, %s, %s, %s)"


class PostgresRateLimiter:
    """A rate limiter for one event loop. Nothing is connected before the first call."""

    def __init__(self, url: str, *, answer_timeout_s: float = 2.0) -> None:
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._idle: list[AsyncConnection[Any]] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)

    async def ask(self, bucket: str, rate: Rate, *, cost: int = 1, counts: bool = True) -> RateDecision:
        import psycopg

        arguments = (bucket, rate.limit, rate.period_s * _MICROSECONDS, cost, counts)
        try:
            async with asyncio.timeout(self._answer_timeout_s), self._places:
                admitted, remaining, reset_us, retry_us = await self._ask(arguments)
        except psycopg.Error as exc:
            raise DependencyUnavailableError("rates", describe(exc)) from exc
        except TimeoutError as exc:
            raise DependencyUnavailableError("rates", f"no answer within {self._answer_timeout_s:g} s") from exc
        return RateDecision(
            admitted=admitted,
            remaining=remaining,
            reset_s=reset_us / _MICROSECONDS,
            retry_after_s=retry_us / _MICROSECONDS,
        )

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _ask(self, arguments: tuple[Any, ...]) -> tuple[bool, int, int, int]:
        import psycopg

        while self._idle:
            try:
                return await self._ask_on(self._idle.pop(), arguments)
            except psycopg.OperationalError:
                # A server that restarted has closed the connections that were open.
                continue
        return await self._ask_on(await self._connect(), arguments)

    async def _ask_on(self, connection: AsyncConnection[Any], arguments: tuple[Any, ...]) -> tuple[bool, int, int, int]:
        try:
            answer: Any = await (await connection.execute(_ASK, arguments)).fetchone()
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        admitted, remaining, reset_us, retry_us = answer
        return admitted, remaining, reset_us, retry_us

    async def _connect(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection

        milliseconds = round(self._answer_timeout_s * 1000)
        return await AsyncConnection.connect(
            self._url,
            autocommit=True,
            prepare_threshold=1,
            connect_timeout=2,
            application_name="darkroom rates",
            options=f"-c statement_timeout={milliseconds} -c synchronous_commit=off",
        )
