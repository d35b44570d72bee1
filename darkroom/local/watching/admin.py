"""The runtime's admin API: status, events and metrics, for `darkroom status`, Prometheus, the demo and tests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from darkroom.events import strict_json
from darkroom.local.watching.event_log import EventLog
from darkroom.telemetry.metric import Readings

_MAX_DIGITS = 18
"""Of an event's number; Python itself refuses to read numbers of thousands of digits."""


def admin_application(
    status: Callable[[], Awaitable[dict[str, Any]]], events: EventLog, measure: Callable[[], Awaitable[Readings]]
) -> web.Application:
    async def show_status(_request: web.Request) -> web.Response:
        return web.json_response(await status(), dumps=_dumps)

    async def show_events(request: web.Request) -> web.Response:
        text = request.query.get("since", "0")
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
            return web.Response(status=400, text=f"since must be an event's number, was {text[:80]!r}")
        action = request.query.get("action", "")
        found = (event for event in events.since(int(text)) if action in ("", event.action))
        return web.json_response([event.as_dict() for event in found], dumps=_dumps)

    async def show_metrics(_request: web.Request) -> web.Response:
        # Imported only here, because it takes fifty milliseconds for which `darkroom up` need not wait.
        from darkroom.local.watching.exposition import CONTENT_TYPE, exposition

        return web.Response(body=exposition(await measure()), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/status", show_status)
    app.router.add_get("/events", show_events)
    return app


def _dumps(value: Any) -> str:
    return json.dumps(strict_json.finite(value), default=str, allow_nan=False)
