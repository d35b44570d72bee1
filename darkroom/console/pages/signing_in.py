"""Signing in with an operator's key, and out."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from darkroom.console.forms import form_of
from darkroom.console.rendering import BASE, page_headers
from darkroom.console.sessions import COOKIE, LIFETIME_S
from darkroom.console.shell import Attempt, Shell


def routes(shell: Shell) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        return shell.page(
            request, "sign_in.html", title="Sign in", next=request.query_params.get("next", "/"), wrong=""
        )

    async def sign_in(request: Request, attempt: Attempt) -> Response:
        form = await form_of(request)
        found = shell.access.find(form.get("key", "").strip())
        following = _below_the_console(form.get("next", "/"))
        if found is None:
            attempt.outcome = "refused"
            wrong = "This is no operator's key, or it was removed."
            return shell.page(request, "sign_in.html", title="Sign in", status=401, next=following, wrong=wrong)
        attempt.target = found.name
        response = RedirectResponse(f"{BASE}{following}", status_code=303, headers=page_headers())
        response.set_cookie(
            COOKIE,
            shell.access.sessions.issue(found.name, found.sha256),
            max_age=LIFETIME_S,
            path=BASE,
            secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(request: Request, attempt: Attempt) -> Response:
        response = shell.redirect("/sign-in")
        response.delete_cookie(COOKIE, path=BASE)
        return response

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", shell.action("none", sign_in, name="sign-in"), methods=["POST"]),
        Route("/sign-out", shell.action("none", sign_out, name="sign-out"), methods=["POST"]),
    ]


def _below_the_console(path: str) -> str:
    """Return a path below `/console`; what could lead elsewhere becomes the first page."""
    return path if path.startswith("/") and not path.startswith("//") and "\\" not in path else "/"
