"""What is wrong now, in order of harm."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.findings import HARM, findings
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        return shell.page(request, "why.html", title="Why", findings=await findings(runtime), harm=HARM)

    async def stream(request: Request) -> Response:
        async def render() -> dict[str, str]:
            found = await findings(runtime)
            return {"findings": shell.fragment("parts/findings.html", findings=found, harm=HARM)}

        return shell.stream(request, refreshed(render))

    return [Route("/why", show), Route("/why/stream", stream)]
