"""How the runtime's three HTTP servers (gateway, Brokers' ingress, admin) treat connections and malformed requests.

aiohttp answers a malformed head with the bytes that it could not parse, and logs them: both may hold an API key. It
waits for the rest of a head as long as for the next request, and takes connections until there are no descriptors.
`Listener` serves one aiohttp server with other rules: malformed requests get a problem document that repeats nothing,
`darkroom.connections` decides about deadlines and bounds, and what goes wrong with clients is logged as a count.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import HttpVersion10, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from darkroom.connections import (
    MAX_HEAD_BYTES,
    SWEEP_EVERY_S,
    Arrival,
    ConnectionLimits,
    Connections,
    Repeats,
    is_out_of_descriptors,
)
from darkroom.errors import DarkroomError, InternalError, RequestMalformedError
from darkroom.http_fields import refuse_repeated
from darkroom.problems import Problem, problem, unexpected

_BACKLOG = 1024
"""How many connections wait to be accepted. The system refuses more, and their clients try again a second later."""
_ACCEPTED_AT_ONCE = 8
"""How many connections are accepted before anything else is done: of a crowd that comes at once, each costs up to half
a millisecond, and a request that is under way needs the loop a dozen times.
"""
_LINGERING_S = 5.0
"""How long the rest of a body is read that was answered before its end."""
_REASONS = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}

log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Serves what a runner has set up, at one address."""

    def __init__(self, name: str, runner: web.BaseRunner, limits: ConnectionLimits, **options: Any) -> None:
        """Prepare. `options` are those of `web.RequestHandler`."""
        self._name = name
        self._runner = runner
        self._limits = limits
        self._options = options
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self.connections = Connections(limits)
        self.malformed = Repeats(lambda count: log.warning("http.malformed: %d at the %s", count, name))

    async def start(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError(f"the {self._name} was not set up")
        server.request_handler = self._guarded(server.request_handler)
        listening = socket.create_server((host, port))
        self._server = await loop.create_server(
            lambda: _Protocol(self, server, loop=loop, lingering_time=_LINGERING_S, access_log=None, **self._options),
            sock=listening,
            # asyncio's number for both: how many wait, and how many are accepted at once.
            backlog=_ACCEPTED_AT_ONCE,
        )
        listening.listen(_BACKLOG)
        self._sweep(loop)

    async def close(self) -> None:
        """Accept nothing new, and let the runner end what is under way."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self.connections.sweep()
        self._sweeping = loop.call_later(SWEEP_EVERY_S, self._sweep, loop)

    def _guarded(self, handle: Handler) -> Handler:
        async def guarded(request: web.BaseRequest) -> web.StreamResponse:
            protocol = request.protocol
            if not isinstance(protocol, _Protocol):
                raise TypeError(f"served by {protocol!r}")
            try:
                protocol.begin(request)
                if request.version < HttpVersion10:
                    raise RequestMalformedError("the request line names no version of HTTP")
                refuse_repeated(name.lower() for name, _ in request.headers.items())
            except DarkroomError as error:
                return problem_response(error, close=True)
            return await handle(request)

        return guarded


class _Protocol(web.RequestHandler):
    """One connection. A `Peer` of `Connections`."""

    def __init__(self, listener: Listener, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.arrival = Arrival()
        self._listener = listener
        self._connections = listener.connections
        self._socket: asyncio.Transport | None = None
        self._taken: web.BaseRequest | None = None
        self._rest: StreamReader | None = None
        """The body of the last request, if it was answered before all of that had come."""
        self._is_answered = False

    # --- asyncio's and aiohttp's side --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a stream is needed, not {transport!r}")
        self._socket = transport
        self._connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_answered:
            return
        # Judged by what came before: these bytes may hold the head's end, and a body.
        if self._connections.has_too_long_a_head(self):
            self.end(RequestMalformedError(f"the request's head has more than {MAX_HEAD_BYTES} bytes, the limit"))
            return
        self._connections.received(self, len(data))
        super().data_received(data)
        if self._rest is not None and self._rest.is_eof():
            self._rest = None
            self._connections.rest(self)
        if self._messages:
            # A parsed head. Its request begins in a task, before which more of its body may come.
            self._connections.head_has_come(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self._taken is request:
                self._taken = None
                self._rest = None if request.content.is_eof() else request.content
                self._connections.end_request(self, body_is_left=self._rest is not None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what a handler could not do, without repeating it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun, so no other can be sent")
        if status < 500 or isinstance(exc, web.RequestPayloadError | HttpProcessingError):
            self._is_answered = True
            self._listener.malformed.happened()
            return problem_response(malformed(exc), close=True)
        log.error("http.failed", exc_info=exc)
        error = unexpected(exc) if isinstance(exc, Exception) else InternalError("the request could not be handled")
        return problem_response(error, close=True)

    # --- the connections' side ---------------------------------------------------------------------------------------

    def begin(self, request: web.BaseRequest) -> None:
        """Note that the request has come, without its body. Raises ServerBusyError."""
        self._taken = request
        self._connections.begin_request(self)

    def is_receiving(self) -> bool:
        return self._taken is not None and not self._taken.content.is_eof()

    def is_reading(self) -> bool:
        return self._socket is not None and self._socket.is_reading()

    def end(self, error: DarkroomError | None) -> None:
        self._is_answered = True
        if self._socket is None or self._socket.is_closing():
            return
        may_answer = self._taken is None or self._taken.writer.output_size == 0
        if error is None or not may_answer:
            self._socket.abort()
            return
        self._socket.write(raw_response(_problem(error)))
        self._socket.close()


def malformed(exc: BaseException | None) -> RequestMalformedError:
    """Return the error for something that could not be parsed, by its kind alone."""
    kind = type(exc).__name__ if exc is not None else "no HTTP request"
    return RequestMalformedError(f"the request could not be parsed ({kind}); nothing of it is repeated here")


def problem_response(error: DarkroomError, *, request_id: str | None = None, close: bool = False) -> web.Response:
    document = _problem(error, request_id=request_id)
    response = web.Response(status=document.status, headers=document.headers, body=document.body)
    if close:
        response.force_close()
    return response


def raw_response(document: Problem) -> bytes:
    """Encode an answer for a connection on which nothing could be parsed."""
    reason = _REASONS.get(document.status, "Error")
    fields = {**document.headers, "content-length": str(len(document.body)), "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {document.status} {reason}\r\n{head}\r\n".encode() + document.body


def _problem(error: DarkroomError, *, request_id: str | None = None) -> Problem:
    return problem(error, request_id=request_id or str(uuid.uuid4()))


def quiet_accepts(loop: asyncio.AbstractEventLoop) -> None:
    """Report that accept() found no descriptors once in a while, instead of a thousand times a second."""
    repeats = Repeats(lambda count: log.error("http.descriptors_exhausted: accepting was put off %d times", count))

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if is_out_of_descriptors(context):
            repeats.happened()
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
