"""One watch per job and one read per change, however many clients wait for it.

If a thousand clients each wake up, read and answer, all of them are answered late. If they are handed the record, they
answer one after the other, each in a single step of the event loop. What is answered is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from darkroom.contract.errors import DarkroomError
from darkroom.contract.jobs import JobRecord
from darkroom.serving.resources import Resources

_READ_AT_LEAST_EVERY_S = 3600.0

Found = JobRecord | DarkroomError | None
"""None: the job is gone."""


class Following:
    """The state of one job, for all who wait for it. `number` grows with each read of the record."""

    def __init__(self) -> None:
        self.number = 0
        self._latest: Found = None
        self._waiting: set[asyncio.Future[Found]] = set()

    def publish(self, found: Found) -> None:
        self.number += 1
        self._latest = found
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(found)

    async def next(self, *, after: int, timeout_s: float) -> JobRecord | None:
        """Return the record as of the latest read after number `after`; None when it is gone.

        Raises TimeoutError, and DependencyUnavailableError when the store or the record could not be read.
        """
        found = self._latest if self.number != after else await self._wait(timeout_s)
        if isinstance(found, DarkroomError):
            raise found
        return found

    async def _wait(self, timeout_s: float) -> Found:
        # Cheaper than asyncio.timeout, which would cost a thousand waiters time at the moment when they are notified.
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Found] = loop.create_future()
        timer = loop.call_later(timeout_s, _time_is_up, waiter)
        self._waiting.add(waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiting.discard(waiter)


def _time_is_up(waiter: asyncio.Future[Found]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class JobFollower:
    """Follows jobs for one event loop."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._followed: dict[UUID, _Followed] = {}

    @asynccontextmanager
    async def follow(self, job_id: UUID) -> AsyncIterator[Following]:
        """Follow a job. Take the `number`, then read the record, then wait: no change falls between the two."""
        followed = self._followed.get(job_id)
        if followed is None or followed.task.done():
            followed = self._followed[job_id] = self._begin(job_id)
        followed.followers += 1
        try:
            await followed.begun.wait()
            yield followed.following
        finally:
            followed.followers -= 1
            if not followed.followers:
                await self._end(job_id, followed)

    def _begin(self, job_id: UUID) -> _Followed:
        following, begun = Following(), asyncio.Event()
        task = asyncio.create_task(self._keep_reading(job_id, following, begun), name=f"following-{job_id}")
        return _Followed(following=following, begun=begun, task=task)

    async def _end(self, job_id: UUID, followed: _Followed) -> None:
        if self._followed.get(job_id) is followed:
            del self._followed[job_id]
        followed.task.cancel()
        await asyncio.wait([followed.task])

    async def _keep_reading(self, job_id: UUID, following: Following, begun: asyncio.Event) -> None:
        try:
            async with self._resources.notices.watch(job_id) as watch:
                begun.set()
                while True:
                    if await watch.changed(timeout_s=_READ_AT_LEAST_EVERY_S):
                        following.publish(await self._read(job_id))
        finally:
            begun.set()

    async def _read(self, job_id: UUID) -> Found:
        try:
            return await self._resources.job_reader.get(job_id)
        except DarkroomError as exc:
            return exc


@dataclass(kw_only=True)
class _Followed:
    following: Following
    begun: asyncio.Event
    task: asyncio.Task[None]
    followers: int = 0
