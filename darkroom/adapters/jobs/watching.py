"""One waiter's end of a notice: an event that is set by any change and cleared by the wait that saw it."""

from __future__ import annotations

import asyncio
from uuid import UUID


class EventWatch:
    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """From the loop's own thread."""
        self._changed.set()

    async def changed(self, *, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True
