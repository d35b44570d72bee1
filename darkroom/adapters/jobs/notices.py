"""Notifies waiting clients of changes of jobs, by Redis publish/subscribe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.adapters import redis_library
from darkroom.adapters.jobs.redis import CHANGES_CHANNEL
from darkroom.adapters.jobs.subscribed_notices import SubscribedNotices

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub


class RedisJobNotices(SubscribedNotices):
    def _broken(self) -> tuple[type[Exception], ...]:
        redis_library.load()
        from redis.exceptions import RedisError

        return (RedisError, OSError, TimeoutError)

    async def _listen(self) -> None:
        async with self._make_client() as client, client.pubsub() as channel:
            await channel.subscribe(CHANGES_CHANNEL)
            while not self._is_idle():
                message = await self._next_message(channel)
                if message["type"] == "subscribe":
                    self._has_subscribed()
                elif message["type"] == "message":
                    await self._take(message["data"])
            self._has_ended()

    async def _next_message(self, channel: PubSub) -> dict[str, Any]:
        message: dict[str, Any] | None = await channel.get_message(timeout=self._silence_s)
        if message is None:
            await channel.ping()
            message = await channel.get_message(timeout=self._silence_s)
        if message is None:
            raise TimeoutError(f"no message from Redis in {2 * self._silence_s:g} s")
        return message

    def _make_client(self) -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        return Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=self._subscribed_within_s,
            # If the library silently reconnected, we would not know that changes were missed in between.
            retry=Retry(NoBackoff(), 0),
        )
