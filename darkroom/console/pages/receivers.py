"""One Trigger or Subscription: what it takes, where it leads, its counts, and its last failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.drawing.flow_nodes import node_path
from darkroom.console.findings import HARM, about, findings
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    return [route for kind in ("trigger", "subscription") for route in _routes(shell, runtime, kind)]


def _routes(shell: Shell, runtime: Runtime, kind: str) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        context = await _read(runtime, kind, **request.path_params)
        return shell.page(request, "receiver.html", title=context["edge"]["name"], **context)

    async def stream(request: Request) -> Response:
        where = dict(request.path_params)

        async def render() -> dict[str, str]:
            return {"receiver": shell.fragment("parts/receiver.html", **await _read(runtime, kind, **where))}

        return shell.stream(request, refreshed(render))

    path = f"/{kind}s/{{namespace}}/{{name}}"
    return [Route(path, show), Route(f"{path}/stream", stream)]


async def _read(runtime: Runtime, kind: str, namespace: str, name: str) -> dict[str, Any]:
    """Raises HTTPException for one that does not run here."""
    graph, found = await asyncio.gather(runtime.get("/map"), findings(runtime))
    edges = [edge for edge in graph["edges"] if edge["kind"] == kind]
    edge = next((one for one in edges if (one["namespace"], one["resource"]) == (namespace, name)), None)
    if edge is None:
        raise HTTPException(404)
    nodes = {node["id"]: {**node, "path": node_path(node)} for node in graph["nodes"]}
    return {
        "edge": edge,
        "origin": nodes[edge["from"]],
        "target": nodes[edge["to"]],
        "findings": about(found, (kind,), namespace, name),
        "harm": HARM,
    }
