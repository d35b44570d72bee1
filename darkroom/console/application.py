"""The console as an ASGI application: routes, and the checks that stand before every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from darkroom.console.access import Access, AccessRefusedError
from darkroom.console.audit import Audit
from darkroom.console.extension import ConsolePages, NoPages
from darkroom.console.pages import OWN_SECTIONS, RUNTIME_SECTIONS, own_routes, runtime_routes
from darkroom.console.rendering import BASE, page_headers
from darkroom.console.runtime import Runtime, RuntimeRefusedError, RuntimeUnavailableError
from darkroom.console.shell import Action, Shell

_STATIC = Path(__file__).with_name("static")
_OPEN = (f"{BASE}/static/", f"{BASE}/sign-in", f"{BASE}/health")
"""What is served without a key."""


def console_application(
    *, access: Access, audit: Audit, runtime: Runtime | None = None, pages: ConsolePages | None = None
) -> Starlette:
    """Build the console. Without a `runtime` it has the application's pages alone."""
    pages = pages or NoPages()
    shell = Shell(
        access=access,
        audit=audit,
        runtime=runtime,
        sections=[*OWN_SECTIONS, *(RUNTIME_SECTIONS if runtime else ()), *pages.sections],
        templates=pages.templates,
    )
    routes = [*own_routes(shell), *(runtime_routes(shell, runtime) if runtime else ()), *pages.routes(shell)]
    if runtime is None:
        routes.append(Route("/", _to(shell.first_page)))
    _require_actions(routes)

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await asyncio.to_thread(pages.close)
            if runtime is not None:
                await runtime.close()

    async def unavailable(request: Request, exc: Exception) -> Response:
        return shell.refusal(request, 503, _sentence(exc))

    async def refused(request: Request, exc: Exception) -> Response:
        status = exc.status if isinstance(exc, RuntimeRefusedError) else 502
        return shell.refusal(request, status, _sentence(exc))

    async def missing(request: Request, _exc: Exception) -> Response:
        return shell.refusal(request, 404, "There is no such page.")

    return Starlette(
        routes=[
            Route("/", _to("/")),
            Route(f"{BASE}/health", _healthy),
            Mount(f"{BASE}/static", StaticFiles(directory=_STATIC)),
            Mount(BASE, routes=routes),
        ],
        middleware=[Middleware(_Door, shell=shell)],
        exception_handlers={RuntimeUnavailableError: unavailable, RuntimeRefusedError: refused, 404: missing},
        lifespan=lifespan,
    )


def _to(path: str) -> Callable[[Request], Awaitable[Response]]:
    async def redirect(_request: Request) -> Response:
        return RedirectResponse(f"{BASE}{path}")

    return redirect


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _sentence(exc: Exception) -> str:
    text = str(exc).strip()
    return f"{text[:1].upper()}{text[1:]}"


def _require_actions(routes: Sequence[BaseRoute]) -> None:
    """Raise TypeError for a route that changes something and is not an action, which nobody would check."""
    for route in routes:
        if isinstance(route, Route) and set(route.methods or ()) - {"GET", "HEAD"}:
            if not isinstance(route.app, Action):
                raise TypeError(f"the endpoint of {route.path} must come from Shell.action")
            if route.methods != {"POST"}:
                raise TypeError(f"an action takes POST alone, {route.path} takes {sorted(route.methods or ())}")


class _Door:
    """Refuses foreign hosts, and reading without a key. Actions check the rest themselves, for the audit log."""

    def __init__(self, app: ASGIApp, shell: Shell) -> None:
        self._app = app
        self._shell = shell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        is_action = request.method not in ("GET", "HEAD")
        try:
            if not is_action:
                self._shell.access.check_host(request)
                if not request.url.path.startswith(_OPEN):
                    self._shell.access.operator(request, "read")
        except AccessRefusedError as exc:
            if exc.status == 401 and "text/html" in request.headers.get("accept", ""):
                path = quote(request.url.path.removeprefix(BASE))
                return RedirectResponse(f"{BASE}/sign-in?next={path}", status_code=303, headers=page_headers())
            return self._shell.refusal(request, exc.status, exc.sentence)
        return None
