"""The span and the metric of an HTTP request, by OpenTelemetry's conventions for servers; without query and headers."""

from __future__ import annotations

from contextlib import AbstractContextManager

from starlette.requests import Request
from starlette.responses import Response

from darkroom import telemetry
from darkroom.events import tracing
from darkroom.telemetry import names
from darkroom.telemetry import push as metrics

_HEALTH = "/health/"
_SHOWN_PATH_CHARACTERS = 200


def request_span(request: Request) -> AbstractContextManager[telemetry.Span]:
    """Open the span in the caller's trace, or in that of the event that is posted in binary mode."""
    telemetry.wake()
    headers = request.headers
    parent = tracing.from_headers(headers) or tracing.parse(headers.get("ce-traceparent"), headers.get("ce-tracestate"))
    if is_probe(request):
        return telemetry.unrecorded(parent)
    return telemetry.entry(request.method, parent, kind="server")


def count_response(request: Request, status: int, *, lasted_s: float) -> None:
    """Count the response, unless it answers a health probe."""
    if not is_probe(request):
        route: str = getattr(request.state, "route", "")
        metrics.observe_request(method=request.method, route=route, status=status, lasted_s=lasted_s)


def is_probe(request: Request) -> bool:
    """Return whether this is a health probe, which would drown out everything else."""
    return _path(request).startswith(_HEALTH)


def record_response(span: telemetry.Span, request: Request, response: Response) -> None:
    """Add the response to the span. A 4xx is the caller's error, not the span's."""
    route: str | None = getattr(request.state, "route", None)
    span.set(
        {
            names.HTTP_METHOD: request.method,
            names.HTTP_STATUS: response.status_code,
            names.URL_PATH: _path(request)[:_SHOWN_PATH_CHARACTERS],
            names.URL_SCHEME: request.scope["scheme"],
        },
        request_id=request.state.request_id,
    )
    if route is not None:
        span.set({names.HTTP_ROUTE: route})
        span.rename(f"{request.method} {route}")
    if response.status_code >= 500:
        span.failed(str(response.status_code))


def _path(request: Request) -> str:
    """Return the path without building the URL object, which would cost time for each request."""
    path: str = request.scope["path"]
    return path
