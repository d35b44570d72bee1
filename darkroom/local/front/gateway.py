"""The only public port: finds the Service for a request and streams the request through the activator.

`resolve` applies the HTTPRoutes; a Service can also be addressed by its own host name. Bodies are not limited here and
are never read into memory as a whole. `http_server` bounds connections and gives heads and bodies their deadlines.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from darkroom.connections import ConnectionLimits, bounded, descriptors
from darkroom.errors import DarkroomError, RequestMalformedError, RouteNotFoundError
from darkroom.events import tracing
from darkroom.local.browsers import check_host
from darkroom.local.children.ports import LOOPBACK, require_free
from darkroom.local.errors import RouteTimeoutError
from darkroom.local.front.request_times import RequestTimes
from darkroom.local.front.routes import Backend
from darkroom.local.http_server import Listener, malformed, problem_response
from darkroom.local.revisions.activator import Activator, ForwardAnswer, ForwardRequest
from darkroom.local.revisions.connection import READ_BYTES
from darkroom.local.revisions.forwarding import end_to_end, with_forwarded
from darkroom.manifests.revision import ServiceKey
from darkroom.problems import unexpected

LOCALHOST_SUFFIX = ".localhost"
MAX_HEADER_BYTES = 64 * 1024
"""The limit for one header and for the request line. It is high because signed query strings are long."""
CLOSE_GRACE_S = 10.0
_SHARE_OF_DESCRIPTORS = 0.7
"""The rest is for the servers, the instances' output, the Brokers' deliveries and the ingress."""

log = logging.getLogger(__name__)

Resolve = Callable[[str, str, str, Mapping[str, str]], Backend | None]
"""Takes the method, host, path without query, and headers with lower-case names."""


class Gateway:
    def __init__(
        self,
        activator: Activator,
        resolve: Resolve,
        *,
        route_template: Callable[[str], str],
        port: int,
        host: str = LOOPBACK,
        limits: ConnectionLimits | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        self.request_times = RequestTimes(route_template)
        self._activator = activator
        self._resolve = resolve
        self._host = host
        self._port = port
        self._hosts = hosts
        """Names that are served besides this machine's; None: all, since what is served asks for keys."""
        self._limits = limits or ConnectionLimits(
            # Each request also has a connection to an instance.
            max_open=bounded(descriptors() * _SHARE_OF_DESCRIPTORS),
            request_cost=1,
        )
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Start listening. Raises PortTakenError."""
        require_free(self._port)
        # When a client disconnects, its request to the function is cancelled.
        server = web.Server(self._handle, handler_cancellation=True)
        self._listener = Listener(
            "gateway",
            web.ServerRunner(server, shutdown_timeout=CLOSE_GRACE_S),
            self._limits,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        await self._listener.start(self._host, self._port)

    async def close(self) -> None:
        """Accept no new connections, and give requests in progress CLOSE_GRACE_S to finish."""
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        began, status = time.perf_counter(), None
        try:
            response = await self._respond(request)
            status = response.status
            return response
        finally:
            path, lasted_s = _path(request), time.perf_counter() - began
            self.request_times.observe(method=request.method, path=path, status=status, lasted_s=lasted_s)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        body = _RequestBody(request)
        try:
            service, timeout_s = self._destination(request)
            forward = self._activator.forward(service, _forward_request(request, body))
            # In the caller's trace, if there is one, because the caller also waits for the instance.
            with tracing.use(tracing.from_headers(request.headers)):
                async with _route_timeout(timeout_s, service[1]), forward as answer:
                    return await _stream(answer, request)
        except DarkroomError as error:
            # The instance saw its request break off, but the client's framing broke it.
            return _problem_response(body.error or error, request)
        except Exception as error:
            log.exception("gateway.failed", extra={"method": request.method, "path": request.path})
            return _problem_response(unexpected(error), request)

    def _destination(self, request: web.BaseRequest) -> tuple[ServiceKey, float | None]:
        """Return the Service for a request, and how long the exchange with it may take."""
        if self._hosts is not None:
            check_host(request.host, self._hosts)
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = _path(request)
        backend = self._resolve(request.method, request.host, path, headers)
        service = self._service_by_host_name(request.host) if backend is None else backend.key
        if service is None or service not in self._activator.services:
            raise RouteNotFoundError(f"no HTTPRoute takes {request.method} {path} on {request.host}")
        return service, None if backend is None else backend.timeout_s

    def _service_by_host_name(self, host: str) -> ServiceKey | None:
        """Find the Service of `<service>.<namespace>.localhost`, unless only the cluster may call it."""
        name = host.partition(":")[0].lower()
        service, _, namespace = name.removesuffix(LOCALHOST_SUFFIX).partition(".")
        pool = self._activator.services.get((namespace, service))
        if not name.endswith(LOCALHOST_SUFFIX) or pool is None or pool.revision.cluster_local:
            return None
        return pool.revision.key


@asynccontextmanager
async def _route_timeout(timeout_s: float | None, service: str) -> AsyncIterator[None]:
    """Raise RouteTimeoutError if the block takes too long."""
    timeout = asyncio.timeout(timeout_s)
    try:
        async with timeout:
            yield
    except TimeoutError as error:
        if not timeout.expired():
            raise
        detail = f"{service} did not complete its answer within the HTTPRoute's timeout, {timeout_s:g} s"
        raise RouteTimeoutError(detail) from error


def _path(request: web.BaseRequest) -> str:
    return request.raw_path.partition("?")[0]


class _RequestBody:
    """The request's body as it comes. A body whose framing is broken ends with an error that repeats nothing of it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.error: RequestMalformedError | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._request.content.iter_any():
                yield chunk
        except web.RequestPayloadError as exc:
            self.error = malformed(exc)
            raise self.error from None


def _forward_request(request: web.BaseRequest, body: _RequestBody) -> ForwardRequest:
    headers = with_forwarded(
        end_to_end(request.headers), client=request.remote, host=request.host, scheme=request.scheme
    )
    return ForwardRequest(
        method=request.method,
        path=request.raw_path,
        headers=headers,
        body=body.chunks() if request.body_exists else None,
    )


async def _stream(answer: ForwardAnswer, request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
    try:
        await response.prepare(request)
        async for chunk in answer.chunks():
            await response.write(chunk)
    except DarkroomError as error:
        # The headers have been sent, so only a broken connection can show that the response is incomplete.
        log.warning("gateway.answer_broken_off", extra={"path": request.path, "detail": error.detail})
        _abort(request)
    except ConnectionError:
        _abort(request)  # the client disconnected
    except asyncio.CancelledError:
        # The route's timeout expired, or the client disconnected.
        if response.prepared:
            _abort(request)
        raise
    return response


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


def _problem_response(error: DarkroomError, request: web.BaseRequest) -> web.StreamResponse:
    is_malformed = isinstance(error, RequestMalformedError)
    return problem_response(error, request_id=request.headers.get("X-Request-Id"), close=is_malformed)
