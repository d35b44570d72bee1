"""Server-sent events that replace, or add to, regions of a page. `static/live.js` is their receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from starlette.responses import StreamingResponse

KEEP_ALIVE_S = 10.0
REFRESHED_EVERY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Update:
    """New HTML for the element with this id. The HTML is rendered by a template, which escapes what it shows."""

    region: str
    html: str
    mode: Literal["replace", "prepend", "append"] = "replace"
    keep: int = 0
    """With `prepend` and `append`: how many children the region keeps; 0: all."""


async def refreshed(
    render: Callable[[], Awaitable[dict[str, str]]], *, every_s: float = REFRESHED_EVERY_S
) -> AsyncGenerator[Update, None]:
    """Render regions again and again, and yield those that have changed since the page's first rendering or the last
    one. `render` returns HTML by region.
    """
    shown: dict[str, str] = {}
    while True:
        for region, html in (await render()).items():
            if shown.get(region) != html:
                shown[region] = html
                yield Update(region=region, html=html)
        await asyncio.sleep(every_s)


def event_stream(updates: AsyncIterator[Update]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_encoded(updates), media_type="text/event-stream", headers=headers)


async def _encoded(updates: AsyncIterator[Update]) -> AsyncGenerator[bytes, None]:
    """Encode updates, with a comment every few seconds, by which both sides notice a connection that is gone."""
    async with aclosing(_with_pauses(updates)) as paused:
        async for update in paused:
            yield b": nothing changes\n\n" if update is None else encode(update)


async def _with_pauses(updates: AsyncIterator[Update]) -> AsyncGenerator[Update | None, None]:
    upcoming: asyncio.Future[Update] | None = None
    try:
        while True:
            if upcoming is None:
                upcoming = asyncio.ensure_future(_next(updates))
            done, _ = await asyncio.wait([upcoming], timeout=KEEP_ALIVE_S)
            if not done:
                yield None
                continue
            try:
                update = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield update
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        if isinstance(updates, AsyncGenerator):
            await updates.aclose()


async def _next(updates: AsyncIterator[Update]) -> Update:
    return await anext(updates)


def encode(update: Update) -> bytes:
    document = {"region": update.region, "html": update.html, "mode": update.mode, "keep": update.keep}
    return b"data: " + json.dumps(document).encode() + b"\n\n"
