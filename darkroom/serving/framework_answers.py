"""The answers that Starlette and functions-framework give by themselves, as problem documents like all others.

functions-framework serves some paths (`/favicon.ico`) and methods (TRACE) on its own, and its pattern for all paths
does not match a line break. It has no options for these, so `install` has it make applications as we do.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from darkroom.errors import DarkroomError, MethodNotAllowedError, RouteNotFoundError
from darkroom.problems import problem
from darkroom.serving.origins import SECURITY_HEADERS

_SHOWN_PATH_CHARACTERS = 200


async def answer_http_exception(request: Request, exc: Exception) -> Response:
    error = _error(request, exc)
    if error is not None:
        document = problem(error, request_id=str(uuid.uuid4()))
        return Response(document.body, status_code=document.status, headers=document.headers)
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return Response(status_code=status, headers=SECURITY_HEADERS)


def _error(request: Request, exc: Exception) -> DarkroomError | None:
    status = exc.status_code if isinstance(exc, HTTPException) else 0
    path = ascii(request.scope["path"][:_SHOWN_PATH_CHARACTERS])
    if status == 404:
        return RouteNotFoundError(f"nothing is served at {path}; see /openapi.json for what is")
    if status == 405 and isinstance(exc, HTTPException):
        allowed = [name.strip() for name in (exc.headers or {}).get("Allow", "").split(",") if name.strip()]
        return MethodNotAllowedError(f"{request.method[:20]} is not allowed on {path}", allowed=allowed)
    return None


def function_application(routes: Sequence[BaseRoute] = (), **options: Any) -> Starlette:
    """Make an application whose own answers are ours, and whose pattern for all paths matches all of them."""
    for route in routes:
        if isinstance(route, Route):
            route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return Starlette(routes=routes, exception_handlers={HTTPException: answer_http_exception}, **options)


def install() -> None:
    """Have functions-framework make its next application as we do."""
    import functions_framework.aio

    vars(functions_framework.aio)["Starlette"] = function_application
