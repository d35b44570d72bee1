"""The first page: whether all is well, what runs, and where it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.findings import HARM, findings
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed

_OWN = frozenset(
    {"functions", "routes", "services", "brokers", "triggers", "subscriptions", "servers", "data", "left_out", "notes"}
)
"""The platform's sections of the status; the others are the application's."""
_FINDINGS_SHOWN = 3


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def read() -> dict[str, Any]:
        status, found = await asyncio.gather(runtime.get("/status"), findings(runtime))
        return _context(status, found)

    async def show(request: Request) -> Response:
        return shell.page(request, "overview.html", title="Overview", **await read())

    async def stream(request: Request) -> Response:
        async def render() -> dict[str, str]:
            return {"state": shell.fragment("parts/state.html", **await read())}

        return shell.stream(request, refreshed(render))

    return [Route("/", show), Route("/stream", stream)]


def _context(status: dict[str, Any], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    receivers = [*status["triggers"], *status["subscriptions"]]
    return {
        "state": status,
        "findings": found[:_FINDINGS_SHOWN],
        "more": max(0, len(found) - _FINDINGS_SHOWN),
        "harm": HARM,
        "totals": {name: sum(each[name] for each in receivers) for name in ("delivered", "dead_lettered", "lost")},
        "waiting": sum(each["backlog"] or 0 for each in receivers),
        "ready": sum(each["ready"] for each in status["functions"]),
        "own_sections": {name: value for name, value in status.items() if name not in _OWN},
    }
