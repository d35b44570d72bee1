"""Rates in Redis, one Lua script: exact across all instances, since Redis runs one script at a time on one clock.

This is our own code because `limits` has no GCRA, its moving window keeps one entry per request, and its fixed and
sliding counters are approximate at the edges.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from darkroom.adapters import redis_library
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.rates import Rate, RateDecision
from darkroom.errors import describe

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

_MICROSECONDS = 1_000_000
_CONNECTIONS = 8
"""A round trip takes well under a millisecond; a thousand clients need not be a thousand connections."""


class RedisRateLimiter:
    """A rate limiter for one event loop. Nothing is connected before the first call."""

    def __init__(self, url: str, *, answer_timeout_s: float = 2.0) -> None:
        self._url = url
        self._answer_timeout_s = answer_timeout_s
        self._client: Redis | None = None
        self._script: AsyncScript | None = None

    async def ask(self, bucket: str, rate: Rate, *, cost: int = 1, counts: bool = True) -> RateDecision:
        redis_library.load()
        from redis.exceptions import RedisError

        try:
            admitted, remaining, reset_us, retry_us = await self._loaded()(
                args=[bucket, rate.limit, rate.period_s * _MICROSECONDS, cost, int(counts)]
            )
        except RedisError as exc:
            raise DependencyUnavailableError("rates", describe(exc)) from exc
        return RateDecision(
            admitted=bool(admitted),
            remaining=int(remaining),
            reset_s=int(reset_us) / _MICROSECONDS,
            retry_after_s=int(retry_us) / _MICROSECONDS,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        self._client = self._script = None

    def _loaded(self) -> Any:
        if self._script is None:
            self._client = self._make_client()
            text = resources.files(__package__).joinpath("lua", "ask.lua").read_text(encoding="utf-8")
            self._script = self._client.register_script(text)
        return self._script

    def _make_client(self) -> Redis:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError

        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=_CONNECTIONS,
            timeout=self._answer_timeout_s,
            socket_connect_timeout=self._answer_timeout_s,
            socket_timeout=self._answer_timeout_s,
            # Retry once immediately: a server that restarted closes the connections that were open.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[ConnectionError],
        )
        return Redis.from_pool(pool)
