"""The events that the Brokers have accepted, what happens live, and the whole way of one event."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.drawing.way import way_drawing
from darkroom.console.happenings import tail
from darkroom.console.runtime import Runtime, RuntimeRefusedError
from darkroom.console.shell import Shell
from darkroom.console.streams import Update

LISTED = 60
PERIODS = {"15m": ("15 minutes", 900), "1h": ("hour", 3600), "1d": ("day", 86400)}
_DEFAULT_PERIOD = "15m"


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        chosen, record = _chosen(request), await runtime.get("/record")
        return shell.page(
            request,
            "events.html",
            title="Events",
            record=record,
            chosen=chosen,
            periods=PERIODS,
            query=request.url.query,
            happenings=await _listed(runtime, chosen) if record["record"] is not None else [],
            more=0,
        )

    async def stream(request: Request) -> Response:
        return shell.stream(request, _live(shell, runtime, _chosen(request)))

    async def one(request: Request) -> Response:
        id = request.query_params.get("id", "")
        try:
            journey = await runtime.get("/record/journey", id=id)
        except RuntimeRefusedError as exc:
            return shell.page(request, "event.html", title="Event", status=exc.status, sentence=exc.sentence, id=id)
        # Written by our own code, which escapes what it is given.
        drawing = Markup(way_drawing(journey["events"]))  # noqa: S704
        return shell.page(
            request, "event.html", title=f"Event {journey['id']}", sentence="", journey=journey, drawing=drawing
        )

    return [Route("/events", show), Route("/events/stream", stream), Route("/events/one", one)]


def _chosen(request: Request) -> dict[str, str]:
    query = request.query_params
    period = query.get("period", _DEFAULT_PERIOD)
    return {
        "type": query.get("type", "").strip(),
        "broker": query.get("broker", ""),
        "trigger": query.get("trigger", ""),
        "period": period if period in PERIODS else _DEFAULT_PERIOD,
    }


def _filters(chosen: dict[str, str]) -> dict[str, str]:
    return {name: chosen[name] for name in ("type", "broker", "trigger")}


async def _listed(runtime: Runtime, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """Return the latest accepted events, newest first."""
    since = time.time() - PERIODS[chosen["period"]][1]
    document = await runtime.get("/record/events", since=since, limit=LISTED, **_filters(chosen))
    return list(reversed(document["events"]))


async def _live(shell: Shell, runtime: Runtime, chosen: dict[str, str]) -> AsyncGenerator[Update, None]:
    def render(happenings: Sequence[dict[str, Any]], more: int) -> str:
        return shell.fragment("parts/happenings.html", happenings=happenings, more=more)

    happenings = runtime.follow("/record/tail", **_filters(chosen))
    try:
        async for update in tail(happenings, render, "tail"):
            yield update
    finally:
        await happenings.aclose()
