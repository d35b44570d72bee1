"""How a function's ASGI server (uvicorn in gunicorn) treats connections and malformed requests.

functions-framework chooses the server and has no options for it; `install` puts subclasses of gunicorn's application
and uvicorn's worker in the place of its own, as both libraries document. They differ in this:

- no header says who the client is: TRUSTED_PROXIES decides (`client_address`), never FORWARDED_ALLOW_IPS,
- `darkroom.connections` decides about deadlines and bounds, which uvicorn has none of for heads and bodies,
- what cannot be parsed gets a problem document that repeats nothing of it,
- trailers are no headers (RFC 9110, section 6.5.1): uvicorn appends them to the request's.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import functions_framework._http.gunicorn as framework_server
import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn_worker import UvicornWorker

from darkroom.connections import (
    MAX_HEAD_BYTES,
    SWEEP_EVERY_S,
    Arrival,
    ConnectionLimits,
    Connections,
    Phase,
    Repeats,
    bounded,
    descriptors,
    is_out_of_descriptors,
)
from darkroom.errors import DarkroomError, RequestMalformedError, ServerBusyError
from darkroom.problems import problem
from darkroom.serving.log import get_logger
from darkroom.serving.raw_answers import raw_answer

_SHARE_OF_DESCRIPTORS = 0.75
"""The rest is for storage, the job store and the sink."""
_SILENCE_S = 30.0
"""More than `functions.ingest.reading` allows, which can say more about what is missing."""

log = get_logger()


class HttpProtocol(HttpToolsProtocol):
    """One connection. A `Peer` of `Connections`."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.arrival = Arrival()
        self._shared = _Shared.of(self.loop)
        self._has_headers = False
        self._is_ended = False

    # --- uvicorn's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, lambda: self._shared.connections.resumed(self))
        self._shared.connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.connections.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            return
        self._unset_keepalive_if_required()
        connections = self._shared.connections
        # Judged by what came before: these bytes may hold the head's end, and a body.
        if connections.has_too_long_a_head(self):
            self.end(RequestMalformedError(f"the request's head has more than {MAX_HEAD_BYTES} bytes, the limit"))
            return
        connections.received(self, len(data))
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here; the request itself is answered.
            return
        except httptools.HttpParserError as exc:
            self._shared.malformed.happened()
            self.end(RequestMalformedError(f"the request could not be parsed ({type(exc).__name__})"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_headers = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_headers = True
        try:
            self._shared.connections.begin_request(self)
            if self.parser.get_http_version() not in {"1.0", "1.1"}:
                raise RequestMalformedError("the request line names no version of HTTP that is spoken here")
        except (RequestMalformedError, ServerBusyError) as error:
            self.end(error)
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            # It was answered before its body had come.
            self.cycle.more_body = False
            self._shared.connections.rest(self)

    def on_response_complete(self) -> None:
        self._shared.connections.end_request(self, body_is_left=self.cycle.more_body)
        super().on_response_complete()

    # --- the connections' side ---------------------------------------------------------------------------------------

    def is_receiving(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def is_reading(self) -> bool:
        return not self.flow.read_paused

    def end(self, error: DarkroomError | None) -> None:
        self._is_ended = True
        if self.transport.is_closing():
            return
        if error is None or self._is_answering():
            self.transport.abort()
            return
        self.transport.write(raw_answer(problem(error, request_id=str(uuid.uuid4()))))
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the last request's answer has begun, and what comes from the client still belongs to it."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or not cycle.response_started:
            return False
        return self.arrival.phase is Phase.REQUEST or cycle.more_body


class _Flow(FlowControl):
    """uvicorn's flow control, which reports that the connection is read from again."""

    def __init__(self, transport: asyncio.Transport, on_resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._on_resumed = on_resumed

    def resume_reading(self) -> None:
        if self.read_paused:
            self._on_resumed()
        super().resume_reading()


class _Shared:
    """What the connections of one event loop have in common."""

    _by_loop: dict[int, _Shared] = {}  # noqa: RUF012 - one for the process' only loop

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        max_open = bounded(descriptors() * _SHARE_OF_DESCRIPTORS)
        self.connections = Connections(ConnectionLimits(max_open=max_open, silence_s=_SILENCE_S))
        self.malformed = Repeats(lambda count: log.warning("http.malformed", count=count))
        self._loop = loop
        self._sweep()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> _Shared:
        if id(loop) not in cls._by_loop:
            cls._by_loop[id(loop)] = cls(loop)
        return cls._by_loop[id(loop)]

    def _sweep(self) -> None:
        self.connections.sweep()
        self._loop.call_later(SWEEP_EVERY_S, self._sweep)


class HttpWorker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS = {  # noqa: RUF012 - uvicorn_worker's own way
        "loop": "auto",
        "http": HttpProtocol,
        "ws": "none",
        "proxy_headers": False,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Also how many connections are accepted at once, before any can be closed in their favour.
        self.config.backlog = max(32, min(2048, descriptors() // 8))

    async def _serve(self) -> None:
        _quiet_accepts(asyncio.get_running_loop())
        await super()._serve()


class HttpApplication(framework_server.UvicornApplication):
    def load_config(self) -> None:
        super().load_config()  # type: ignore[no-untyped-call]
        self.cfg.set("worker_class", HttpWorker)
        self.cfg.set("forwarded_allow_ips", "")


def install() -> None:
    """Serve the function of this process with `HttpApplication`: functions-framework looks the class up by name."""
    framework_server.UvicornApplication = HttpApplication  # type: ignore[misc]


def _quiet_accepts(loop: asyncio.AbstractEventLoop) -> None:
    """Report that accept() found no descriptors once in a while, instead of a thousand times a second."""
    repeats = Repeats(lambda count: log.error("http.descriptors_exhausted", count=count))

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if is_out_of_descriptors(context):
            repeats.happened()
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
