"""Notifies waiting clients of changes of jobs as they happen. All waiters of a process share one subscription.

What every store's notices have in common; `notices.py` and `postgres/notices.py` subscribe. No store keeps notices for
whoever is away. So whenever the subscription had to be renewed, all waiters are woken to read their records again.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from uuid import UUID

from darkroom.adapters.jobs import JobWatch
from darkroom.adapters.jobs.watching import EventWatch

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_WOKEN_AT_ONCE = 32


class SubscribedNotices(ABC):
    """For one event loop. The subscription lasts as long as there are watches, and `kept_idle_s` longer."""

    def __init__(
        self, url: str, *, subscribed_within_s: float = 1.0, silence_s: float = 5.0, kept_idle_s: float = 2.0
    ) -> None:
        """A watch begins after `subscribed_within_s` even without a subscription; its waiter is woken as soon as there
        is one. After `silence_s` without a message the connection is tested; after twice that it is replaced. When the
        last watch ended more than `kept_idle_s` ago, the next message ends the subscription, because it receives the
        changes of all jobs."""
        self._url = url
        self._subscribed_within_s = subscribed_within_s
        self._silence_s = silence_s
        self._kept_idle_s = kept_idle_s
        self._watches: defaultdict[str, set[EventWatch]] = defaultdict(set)
        self._watched_until_s = 0.0
        self._wanted = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    def watch(self, job_id: UUID) -> AbstractAsyncContextManager[JobWatch]:
        return self._watching(job_id)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        self._listener = None

    @asynccontextmanager
    async def _watching(self, job_id: UUID) -> AsyncIterator[JobWatch]:
        watch, key = EventWatch(job_id), str(job_id)
        self._watches[key].add(watch)
        self._wanted.set()
        try:
            await self._wait_until_subscribed()
            yield watch
        finally:
            self._watches[key].discard(watch)
            if not self._watches[key]:
                del self._watches[key]
            self._watched_until_s = time.monotonic()

    async def _wait_until_subscribed(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen_forever(), name="job-notices")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._subscribed_within_s):
                await self._subscribed.wait()

    async def _listen_forever(self) -> None:
        broken = self._broken()
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._wanted.wait()
            try:
                await self._listen()
                continue
            except broken:
                # Waiters are not notified: they read the record by other means, and that read reports the failure.
                if self._subscribed.is_set():
                    pause_s = _FIRST_PAUSE_S
                self._subscribed.clear()
            # Jitter needs no secrecy.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    @abstractmethod
    async def _listen(self) -> None:
        """Subscribe, call `_has_subscribed`, and `_take` each change, until `_is_idle`; then call `_has_ended`.

        Raises an error of `_broken` when the connection breaks.
        """

    @abstractmethod
    def _broken(self) -> tuple[type[Exception], ...]:
        """Return the errors of a connection that breaks. The first call may import the library."""

    def _is_idle(self) -> bool:
        return not self._watches and time.monotonic() - self._watched_until_s > self._kept_idle_s

    def _has_subscribed(self) -> None:
        """Changes may have been missed until now."""
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
        self._subscribed.set()

    def _has_ended(self) -> None:
        """Call it before anything is awaited, so that a watch that begins from now on waits for a new subscription."""
        self._wanted.clear()
        self._subscribed.clear()

    async def _take(self, text: str) -> None:
        """Wake who waits for this job; the text is its id and its status."""
        await self._wake_in_turns(list(self._watches.get(text.partition(" ")[0], ())))

    async def _wake_in_turns(self, watches: list[EventWatch]) -> None:
        """Wake waiters in batches. A thousand that are woken at once are all answered late; in batches, most are
        answered long before the last."""
        for number, watch in enumerate(watches, start=1):
            watch.wake()
            if number % _WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)
