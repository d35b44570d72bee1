"""Which instance gets the next request of a Service, and who waits: containerConcurrency, one queue, first come.

Pure bookkeeping on one event loop; nothing is sent here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from darkroom.local.errors import RevisionOverloadedError
from darkroom.local.instances import Instance
from darkroom.local.pool import Pool

MAX_QUEUED = 10_000
"""Of one revision, as Knative's activator has it."""


class Admission:
    def __init__(self, pool: Pool, *, poke: Callable[[], None], max_queued: int = MAX_QUEUED) -> None:
        self._pool = pool
        self._poke = poke
        self._max_queued = max_queued
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        pool.on_change = self._hand_out

    @property
    def queued(self) -> int:
        return sum(1 for waiter in self._waiting if not waiter.done())

    async def acquire(self, *, avoid: Collection[Instance] = ()) -> Instance:
        """An instance with room, which the caller must give back by `release`. Waits for one in order of arrival.

        `avoid`: instances that have just refused a connection; their end may not have been noticed yet.
        """
        if not self._waiting:
            instance = self._least_busy(avoid)
            if instance is not None:
                instance.enter()
                return instance
        return await self._wait_in_line()

    def release(self, instance: Instance) -> None:
        instance.leave()
        self._hand_out()

    async def _wait_in_line(self) -> Instance:
        if len(self._waiting) >= self._max_queued and self.queued >= self._max_queued:
            service = self._pool.revision.service
            raise RevisionOverloadedError(f"{self._max_queued} requests wait for {service} already, the limit")
        waiter: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if not self._pool.ready:
            self._poke()
        try:
            return await waiter
        except asyncio.CancelledError:
            # It may have been given an instance in the moment it was cancelled.
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result())
            else:
                self._forget(waiter)
            raise

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            instance = self._least_busy()
            if instance is None:
                return
            instance.enter()
            self._waiting.popleft().set_result(instance)

    def _forget(self, waiter: asyncio.Future[Instance]) -> None:
        """Those at the front are cleared as the queue moves; a full queue must not be full of the dead."""
        waiter.cancel()
        if self._waiting and self._waiting[0] is waiter:
            self._waiting.popleft()

    def _least_busy(self, avoid: Collection[Instance] = ()) -> Instance | None:
        with_room = [one for one in self._pool.ready if one.has_room and one not in avoid]
        return min(with_room, key=lambda one: one.in_flight, default=None)
