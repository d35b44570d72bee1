"""What is wrong now, in order of harm."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed

HARM = {
    "loss": ("Loses events", "What is lost does not come back."),
    "stop": ("Stands still", "Nothing is lost, and nothing moves until this is mended."),
    "delay": ("Is slow", "Everything gets done, later than it could."),
    "risk": ("May fail", "Works now, and will not under load or after the next fault."),
}


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        document = await runtime.get("/why")
        return shell.page(request, "why.html", title="Why", **_context(document))

    async def stream(request: Request) -> Response:
        async def render() -> dict[str, str]:
            return {"findings": shell.fragment("parts/findings.html", **_context(await runtime.get("/why")))}

        return shell.stream(request, refreshed(render))

    return [Route("/why", show), Route("/why/stream", stream)]


def _context(document: dict[str, object]) -> dict[str, object]:
    return {"findings": document["findings"], "checked_at": document["checked_at"], "harm": HARM}
