"""One waiter's side of the notices: an event that any change sets and that the wait which saw it clears."""

from __future__ import annotations

import asyncio
from uuid import UUID


class EventWatch:
    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Wake the waiter. Call it only from the loop's own thread."""
        self._changed.set()

    async def changed(self, *, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True
