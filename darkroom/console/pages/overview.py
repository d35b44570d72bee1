"""The first page: whether all is well, what runs, and where it is reached."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        return shell.page(request, "overview.html", title="Overview", status_document=await runtime.get("/status"))

    return [Route("/", show)]
