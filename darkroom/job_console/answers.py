"""Answers a request whose page cannot be made with one sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from darkroom.client import ApiError, ClientError
from darkroom.console.shell import Attempt, Shell
from darkroom.errors import DarkroomError

Page = Callable[[Request], Awaitable[Response]]
Acting = Callable[[Request, Attempt], Awaitable[Response]]


def answering(shell: Shell, page: Page) -> Page:
    """Make the endpoint of a page: what the application raises becomes a sentence with the error's status."""

    @wraps(page)
    async def endpoint(request: Request) -> Response:
        try:
            return await page(request)
        except DarkroomError as exc:
            return shell.refusal(request, exc.status, sentence_of(exc))

    return endpoint


def acting(shell: Shell, action: Acting) -> Acting:
    """Do the same for an action, and have the audit log say why it was not done."""

    @wraps(action)
    async def handler(request: Request, attempt: Attempt) -> Response:
        try:
            return await action(request, attempt)
        except DarkroomError as exc:
            attempt.outcome = "failed" if exc.status >= 500 else "refused"
            attempt.details["reason"] = f"{exc.code}: {exc.detail}"
            return shell.refusal(request, exc.status, sentence_of(exc))
        except ClientError as exc:
            attempt.outcome = "failed"
            attempt.details["reason"] = str(exc)
            return shell.refusal(request, exc.status if isinstance(exc, ApiError) else 503, f"The API refused: {exc}.")

    return handler


def sentence_of(error: DarkroomError) -> str:
    return f"{error.title}: {error.detail} ({error.code})."
