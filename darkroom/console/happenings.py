"""What the record's tail says, gathered into few updates of a page: some things happen a thousand times a second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from darkroom.console.streams import Update

GATHERED_S = 0.3
MAX_AT_ONCE = 40
"""More than this happens faster than anybody reads; the rest is counted."""
KEPT = 150

Render = Callable[[Sequence[dict[str, Any]], int], str]
"""Renders what has happened, the latest first, and how many more are left out."""


async def tail(happenings: AsyncIterator[dict[str, Any]], render: Render, region: str) -> AsyncGenerator[Update, None]:
    """Yield updates that put the latest on top, until `happenings` ends. Its errors are raised."""
    gathered, left_out = deque[dict[str, Any]](maxlen=MAX_AT_ONCE), 0
    arrived = asyncio.Event()

    async def gather() -> None:
        nonlocal left_out
        async for document in happenings:
            left_out += len(gathered) == MAX_AT_ONCE
            gathered.append(document)
            arrived.set()

    gathering = asyncio.create_task(gather())
    # An end, of whatever kind, is something to look at too.
    gathering.add_done_callback(lambda _: arrived.set())
    try:
        while not gathering.done() or gathered:
            await arrived.wait()
            arrived.clear()
            if gathered:
                shown, more = list(reversed(gathered)), left_out
                gathered.clear()
                left_out = 0
                yield Update(region=region, html=render(shown, more), mode="prepend", keep=KEPT)
                await asyncio.sleep(GATHERED_S)
        gathering.result()
    finally:
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
