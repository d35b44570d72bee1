"""Assigns a Service's requests to instances within their containerConcurrency; the others wait in one FIFO queue.

Bookkeeping on one event loop, by the rules of `queueing`; nothing is sent here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from darkroom.local.errors import RevisionFailingError, RevisionOverloadedError
from darkroom.local.revisions.instances import Instance
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.queueing import MAX_QUEUED, WaitingLine, least_busy


class Admission:
    def __init__(self, pool: Pool, *, poke: Callable[[], None], max_queued: int = MAX_QUEUED) -> None:
        self._pool = pool
        self._poke = poke
        self._waiting: WaitingLine[asyncio.Future[Instance]] = WaitingLine(max_queued)
        pool.on_change = self._assign_waiting
        pool.on_failing = self._refuse_waiting

    @property
    def queued(self) -> int:
        return len(self._waiting)

    async def acquire(self, *, avoid: Collection[Instance] = ()) -> Instance:
        """Acquire an instance with room, waiting for one in order of arrival. The caller must `release` it.

        `avoid` lists instances that have just refused a connection, whose end may not have been noticed yet. Raises
        RevisionOverloadedError if the queue is full, and RevisionFailingError if the instances do not start.
        """
        if not self._waiting:
            instance = self._least_busy(avoid)
            if instance is not None:
                instance.enter()
                return instance
        return await self._wait_in_queue()

    def release(self, instance: Instance) -> None:
        instance.leave()
        self._assign_waiting()

    async def _wait_in_queue(self) -> Instance:
        if self._waiting.is_full:
            service = self._pool.revision.label
            raise RevisionOverloadedError(f"{self._waiting.max_queued} requests wait for {service} already, the limit")
        if self._pool.is_failing:
            raise self._failing_error()
        waiter: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.join(waiter)
        if not self._pool.ready:
            self._poke()
        try:
            return await waiter
        except asyncio.CancelledError:
            # An instance may have been assigned at the moment of cancellation.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise
        finally:
            self._waiting.leave(waiter)

    def _refuse_waiting(self) -> None:
        """Answer the waiting requests. The pool goes on trying; a request that comes during a try waits for it."""
        for waiter in self._waiting.take_all():
            if not waiter.done():
                waiter.set_exception(self._failing_error())

    def _failing_error(self) -> RevisionFailingError:
        if not_run := self._pool.not_run:
            return RevisionFailingError(not_run)
        label, trouble = self._pool.revision.label, self._pool.trouble
        said = "" if trouble is None else f": {trouble.reason}, {trouble.failures} failures in a row"
        return RevisionFailingError(f"{label} does not start{said}; `darkroom status` and its log say why")

    def _assign_waiting(self) -> None:
        while self._waiting:
            instance = self._least_busy()
            if instance is None:
                return
            waiter = self._waiting.take_first()
            if not waiter.done():  # done: cancelled, and its caller has not run since
                instance.enter()
                waiter.set_result(instance)

    def _least_busy(self, avoid: Collection[Instance] = ()) -> Instance | None:
        return least_busy([one for one in self._pool.ready if one.has_room and one not in avoid])
