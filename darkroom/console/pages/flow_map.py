"""The map: the running project as a graph, and the same in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.drawing.flow import flow_drawing, receivers
from darkroom.console.drawing.flow_edges import edge_path
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        return shell.page(request, "map.html", title="Map", **_context(await runtime.get("/map")))

    async def stream(request: Request) -> Response:
        async def render() -> dict[str, str]:
            context = _context(await runtime.get("/map"))
            return {
                "drawing": str(context["drawing"]),
                "receivers": shell.fragment("parts/receivers.html", **context),
            }

        return shell.stream(request, refreshed(render))

    return [Route("/map", show), Route("/map/stream", stream)]


def _context(document: dict[str, Any]) -> dict[str, Any]:
    return {
        # Written by our own code, which escapes what it is given.
        "drawing": Markup(flow_drawing(document)),  # noqa: S704
        "is_empty": not document["nodes"],
        "receivers": [{**edge, "path": edge_path(edge)} for edge in receivers(document)],
        "names": {node["id"]: node["name"] for node in document["nodes"]},
    }
