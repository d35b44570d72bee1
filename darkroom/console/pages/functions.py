"""One function: what is wrong with it, its instances, what it receives, how it is scaled, and the end of its log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.drawing.flow_edges import edge_path
from darkroom.console.findings import HARM, about, findings
from darkroom.console.pages.autoscaler import scaled_services
from darkroom.console.runtime import Runtime, RuntimeRefusedError
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed

LOG_LINES = 120
_KINDS = ("function", "service")


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        context = await _read(runtime, **request.path_params)
        return shell.page(request, "function.html", title=context["function"]["service"], **context)

    async def stream(request: Request) -> Response:
        where = dict(request.path_params)

        async def render() -> dict[str, str]:
            context = await _read(runtime, **where)
            parts = {"function": "parts/function.html", "log": "parts/log.html"}
            return {region: shell.fragment(template, **context) for region, template in parts.items()}

        return shell.stream(request, refreshed(render))

    path = "/functions/{namespace}/{name}"
    return [Route(path, show), Route(f"{path}/stream", stream)]


async def _read(runtime: Runtime, namespace: str, name: str) -> dict[str, Any]:
    """Raises HTTPException for a function that does not run here."""
    status, graph, found, scaled = await asyncio.gather(
        runtime.get("/status"),
        runtime.get("/map"),
        findings(runtime),
        _scaling(runtime, f"{namespace}/{name}"),
    )
    function = next((one for one in status["functions"] if (one["namespace"], one["name"]) == (namespace, name)), None)
    if function is None:
        raise HTTPException(404)
    return {
        "function": function,
        "service": scaled,
        "findings": about(found, _KINDS, namespace, name),
        "harm": HARM,
        "log_lines": await _log(runtime, function["service"]),
        "receivers": [
            {**edge, "path": edge_path(edge)}
            for edge in graph["edges"]
            if edge["to"] == f"function:{namespace}/{name}" and edge["kind"] in ("trigger", "subscription")
        ],
        "names": {node["id"]: node["name"] for node in graph["nodes"]},
    }


async def _scaling(runtime: Runtime, service: str) -> dict[str, Any] | None:
    return next(iter(await scaled_services(runtime, service)), None)


async def _log(runtime: Runtime, service: str) -> list[str]:
    """Return the last lines; none if no instance has ever printed any."""
    try:
        document = await runtime.get("/logs", name=service, lines=LOG_LINES)
    except RuntimeRefusedError as exc:
        if exc.status != 404:
            raise
        return []
    lines: list[str] = document["lines"]
    return lines
