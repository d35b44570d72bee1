"""The audit log's page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.shell import Shell

SHOWN = 200


def routes(shell: Shell) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        entries = await asyncio.to_thread(shell.audit.recent, SHOWN)
        return shell.page(request, "audit.html", title="Audit log", entries=entries, shown=SHOWN)

    return [Route("/audit", show)]
