"""Reports when the disk of the data folder is full, and when it has room again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from darkroom.local.reporting import Report

CHECK_EVERY_S = 2.0


async def watch_disk(state: Callable[[], str], report: Report, *, every_s: float = CHECK_EVERY_S) -> None:
    """Watch until cancelled. `state` returns `ok`, or a sentence that says what is wrong."""
    was_ok = True
    while True:
        found = state()
        if (found == "ok") != was_ok:
            was_ok = found == "ok"
            if was_ok:
                report("disk.has_room")
            else:
                report("disk.full", detail=found)
        await asyncio.sleep(every_s)
