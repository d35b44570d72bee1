"""The runtime's own HTTP side, for `darkroom status`, the demo and tests: what runs, what waits, what happened."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from darkroom.local.event_log import EventLog


def admin_application(status: Callable[[], Awaitable[dict[str, Any]]], events: EventLog) -> web.Application:
    async def show_status(_request: web.Request) -> web.Response:
        return web.json_response(await status(), dumps=_dumps)

    async def show_events(request: web.Request) -> web.Response:
        text = request.query.get("since", "0")
        if not text.isascii() or not text.isdigit():
            return web.Response(status=400, text=f"since must be an event's number, was {text[:80]!r}")
        return web.json_response([event.as_dict() for event in events.since(int(text))], dumps=_dumps)

    app = web.Application()
    app.router.add_get("/status", show_status)
    app.router.add_get("/events", show_events)
    return app


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)
