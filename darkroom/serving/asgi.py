"""`http_function` combines routes into one function, which `startup.serve_http` serves on functions-framework's ASGI
server.

A gate protects the routes. Errors become problem documents, every response has its request id, every request that is
answered is one log line. Route handlers call blocking adapters in a thread (`in_thread`).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from darkroom.connections import Repeats
from darkroom.contract.errors import DarkroomError, MethodNotAllowedError, RouteNotFoundError
from darkroom.errors import must_pass
from darkroom.http_fields import refuse_repeated
from darkroom.problems import problem, unexpected
from darkroom.redaction import redacted
from darkroom.serving.gate import Gate
from darkroom.serving.log import get_logger, log_fields
from darkroom.serving.request_spans import count_response, is_probe, record_response, request_span

log = get_logger()

P = ParamSpec("P")
R = TypeVar("R")
Endpoint = Callable[[Request], Awaitable[Response]]

# Ids from clients go into logs and headers: visible ASCII of a bounded length, nothing else.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_CLIENT_CLOSED_REQUEST = 499
_SHOWN_PATH_CHARACTERS = 200


async def in_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return await anyio.to_thread.run_sync(lambda: call(*args, **kwargs))


def request_id(request: Request) -> str:
    """Return the caller's X-Request-Id if it is valid, else a new one; the same for the whole request."""
    if not hasattr(request.state, "request_id"):
        given = request.headers.get("x-request-id", "")
        is_sound = _REQUEST_ID.fullmatch(given) and redacted(given) == given
        request.state.request_id = given if is_sound else str(uuid.uuid4())
    known: str = request.state.request_id
    return known


def owner(request: Request) -> str:
    """Return the owner of the request, as the gate determined it."""
    known: str = request.state.owner
    return known


def http_function(
    name: str,
    routes: Sequence[Route],
    *,
    open_routes: Sequence[Route],
    gate: Gate,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
) -> Endpoint:
    """Make the function of this name that serves these routes.

    `routes` are behind the gate; `open_routes` are public: health, and the description of the API. `elsewhere` are the
    methods that another function serves on paths of the same host: preflights and refusals name them.
    """

    routes, open_routes = _exact(routes), _exact(open_routes)
    others = _exact([Route(path, _served_elsewhere, methods=methods) for path, methods in (elsewhere or {}).items()])
    # One line each would let whoever opens and drops connections fill the log.
    abandoned = Repeats(lambda count: log.info("request.abandoned", count=count))

    async def serve(request: Request) -> Response:
        started = time.monotonic()
        with request_span(request) as span, log_fields(request_id=request_id(request)):
            response = await _answer(request, routes, open_routes, others, gate)
            response.headers.update(getattr(request.state, "answer_headers", {}))
            response.headers.update(gate.browsers.fields(request))
            response.headers["x-request-id"] = request_id(request)
            record_response(span, request, response)
            lasted_s = time.monotonic() - started
            count_response(request, response.status_code, lasted_s=lasted_s)
            if response.status_code == _CLIENT_CLOSED_REQUEST:
                abandoned.happened()
                return response
            # A probe asks up to twenty times a second.
            report = log.debug if is_probe(request) else log.info
            report(
                "request.answered",
                method=request.method,
                path=_shown_path(request),
                status=response.status_code,
                request_id=request_id(request),
                duration_ms=round(lasted_s * 1000),
            )
        return response

    serve.__name__ = name
    serve.__qualname__ = name
    return serve


async def _served_elsewhere(_request: Request) -> Response:
    raise NotImplementedError


async def _answer(
    request: Request, routes: Sequence[Route], open_routes: Sequence[Route], others: Sequence[Route], gate: Gate
) -> Response:
    try:
        refuse_repeated(name.decode("latin-1") for name, _ in request.scope["headers"])
        if request.method == "OPTIONS":
            preflight = gate.browsers.preflight(request, _methods(request, [*open_routes, *routes, *others]))
            if preflight is not None:
                return preflight
        route = _route(request, [*open_routes, *routes], others)
        if route not in open_routes:
            request.state.owner = await gate.admit(request)
        endpoint: Endpoint = route.endpoint
        return await endpoint(request)
    except DarkroomError as exc:
        return problem_response(exc, request)
    except ClientDisconnect:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    except HTTPException as exc:
        log.warning("request.refused", error=exc.detail, request_id=request_id(request))
        raise
    except BaseException as exc:
        if must_pass(exc):
            raise
        log.exception("request.crashed", request_id=request_id(request))
        return problem_response(unexpected(exc), request)


def _route(request: Request, routes: Sequence[Route], others: Sequence[Route]) -> Route:
    """Return the first route that matches. Raises RouteNotFoundError and MethodNotAllowedError."""
    allowed: set[str] = set()
    for route in routes:
        match, child_scope = route.matches(request.scope)
        if match is Match.FULL:
            request.scope.update(child_scope)
            request.state.route = route.path
            return route
        if match is Match.PARTIAL:
            allowed |= route.methods or set()
    for other in others:
        if other.matches(request.scope)[0] is not Match.NONE:
            allowed |= (other.methods or set()) - {request.method}
    path = _shown_path(request)
    if allowed:
        raise MethodNotAllowedError(
            f"{request.method} is not allowed on {path}; allowed: {', '.join(sorted(allowed))}", allowed=sorted(allowed)
        )
    raise RouteNotFoundError(f"nothing is served at {path}; see /openapi.json for what is")


def _exact(routes: Sequence[Route]) -> list[Route]:
    """Have the routes match whole paths: Starlette's patterns end with `$`, which a line break at the end passes."""
    for route in routes:
        route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)
    return list(routes)


def _methods(request: Request, routes: Sequence[Route]) -> set[str]:
    """Return the methods that the path has. Raises RouteNotFoundError."""
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    if not found:
        raise RouteNotFoundError(f"nothing is served at {_shown_path(request)}; see /openapi.json for what is")
    return {method for route in found for method in route.methods or ()}


def _shown_path(request: Request) -> str:
    """Return the path, truncated: logs and errors must not grow with what clients send."""
    path = str(request.scope["path"])
    if not path.isprintable():
        path = path.encode("unicode_escape").decode("ascii")
    return path if len(path) <= _SHOWN_PATH_CHARACTERS else f"{path[:_SHOWN_PATH_CHARACTERS]}..."


def problem_response(error: DarkroomError, request: Request) -> Response:
    document = problem(error, request_id=request_id(request))
    return Response(document.body, status_code=document.status, headers=document.headers)


def json_response(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(content, status_code=status, headers={"cache-control": "no-store", **(headers or {})})
