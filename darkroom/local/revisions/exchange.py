"""HTTP/1.1 with an instance: one request and its answer at a time on a connection, bodies streamed both ways.

Every upload and every delivery passes here, and nothing of what a general client does besides may happen: no redirects,
no cookies, no proxies, no decoding. httptools reads the answers, as it reads uvicorn's requests.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import httptools
from multidict import CIMultiDict

from darkroom.local.revisions.patient_socket import PatientSocket

CONNECT_TIMEOUT_S = 5.0
KEPT_IDLE_S = 0.5
"""Much less than any server keeps a connection (uvicorn 5 s, under gunicorn 2 s): it must not close one just as we send
on it, which could not be told from a function that died while it worked."""
READ_BYTES = 256 * 1024
"""So much of a body is held when its reader is slower than its sender, before the sender has to wait."""
MAX_HEAD_BYTES = 256 * 1024
_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})


class NotReachedError(Exception):
    """There is no connection, so nothing was sent."""


class BrokenOffError(Exception):
    """The connection ended, or what came on it was no HTTP, before the answer was complete."""


@dataclass(frozen=True, kw_only=True)
class ForwardRequest:
    method: str
    path: str
    """As it stands in the request line, with the query, percent-encoding untouched."""
    headers: CIMultiDict[str]
    """End to end; Content-Length is kept and decides whether a streamed body is chunked."""
    body: bytes | AsyncIterable[bytes] | None = None


class Exchange:
    """A request that was sent, and the answer as far as it has come. `close` ends it, whatever is still under way."""

    def __init__(self, connections: Connections, connection: _Connection, answer: _Answer) -> None:
        self._connections = connections
        self._connection = connection
        self.status = answer.status
        self.reason = answer.reason
        self.headers = answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """As they arrive. Raises BrokenOffError when the body ends before its time."""
        while chunk := await self._connection.read():
            yield chunk

    def close(self) -> None:
        self._connections.release(self._connection)


class Connections:
    """Kept for a moment after each exchange, for the next with the same instance."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[_Connection]] = defaultdict(list)

    async def send(self, address: str, request: ForwardRequest) -> Exchange:
        """`address` is host:port. Returns with the answer's head. Raises NotReachedError, BrokenOffError."""
        head = _head(address, request)
        connection = self._kept(address) or await self._connect(address)
        try:
            answer = await connection.ask(head, request)
        except BaseException:
            connection.abort()
            raise
        return Exchange(self, connection, answer)

    def release(self, connection: _Connection) -> None:
        if not connection.is_reusable:
            connection.abort()
            return
        self._idle[connection.address].append(connection)
        connection.retire_after(KEPT_IDLE_S, self._forget)

    def close(self) -> None:
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.abort()
        self._idle.clear()

    def _kept(self, address: str) -> _Connection | None:
        while idle := self._idle.get(address):
            connection = idle[-1]
            self._forget(connection)
            if connection.is_reusable and not connection.is_overdue:
                connection.resume()
                return connection
            connection.abort()
        return None

    def _forget(self, connection: _Connection) -> None:
        idle = self._idle.get(connection.address, [])
        with suppress(ValueError):
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.address, None)

    async def _connect(self, address: str) -> _Connection:
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        peer = PatientSocket()
        try:
            peer.setblocking(False)
            if not _connects_at_once(peer, (host, int(port))):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await loop.sock_connect(peer, (host, int(port)))
            _, connection = await loop.create_connection(lambda: _Connection(address), sock=peer)
        except (OSError, TimeoutError) as exc:
            peer.close()
            raise NotReachedError(f"{address}: {exc!r}") from exc
        except BaseException:
            peer.close()
            raise
        if connection.is_lost:
            raise NotReachedError(f"{address} closed the connection at once")
        return connection


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    reason: str
    headers: CIMultiDict[str]


class _Connection(asyncio.Protocol):
    """The parser calls its `on_...` methods."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._retirement: asyncio.TimerHandle | None = None
        self._on_retired: Callable[[_Connection], None] = _ignore
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin()

    def _begin(self) -> None:
        """Everything that belongs to one exchange."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[_Answer] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._is_head_request = False
        self._head_bytes = 0
        self._reason = b""
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._is_informational = False
        self._has_head = False
        self._is_complete = False
        self._ends_with_connection = False
        self._goes_on = False
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0
        self._is_paused = False
        self._came: asyncio.Future[None] | None = None
        self._error: BrokenOffError | None = None

    # --- the exchange ------------------------------------------------------------------------------------------------

    async def ask(self, head: bytes, request: ForwardRequest) -> _Answer:
        transport = self._connected()
        self._answer = self._loop.create_future()
        self._is_head_request = request.method == "HEAD"
        if isinstance(request.body, bytes):
            transport.write(head + request.body)
        else:
            transport.write(head)
            if request.body is not None:
                is_chunked = "Content-Length" not in request.headers
                self._sending = asyncio.create_task(self._send(request.body, is_chunked=is_chunked))
        return await self._answer

    async def read(self) -> bytes:
        """What has come of the body since; empty at its end."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._is_complete:
                return b""
            self._came = self._loop.create_future()
            try:
                await self._came
            finally:
                self._came = None
        chunks, self._chunks, self._chunk_bytes = self._chunks, [], 0
        if self._is_paused:
            self._is_paused = False
            self._connected().resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _send(self, body: AsyncIterable[bytes], *, is_chunked: bool) -> None:
        transport = self._connected()
        try:
            async for piece in body:
                if piece:
                    transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
                    await self._writable.wait()
            if is_chunked:
                transport.write(b"0\r\n\r\n")
        except Exception as exc:
            # Whoever sends the body went away or broke its rules: the function must not take it for whole.
            self._break_off(f"the request's body ended early: {exc!r}")
            transport.abort()

    # --- between exchanges -------------------------------------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """The answer has come and was read as a whole, the request has gone as a whole, and the other side goes on."""
        return (
            not self.is_lost
            and self._is_complete
            and not self._chunks
            and self._goes_on
            and self._error is None
            and (self._sending is None or self._sending.done())
            and self._connected().get_write_buffer_size() == 0
        )

    @property
    def is_overdue(self) -> bool:
        """It should have retired, but the event loop is late; the other side may be closing it by now."""
        return self._retirement is not None and self._retirement.when() <= self._loop.time()

    def retire_after(self, seconds: float, on_retired: Callable[[_Connection], None]) -> None:
        self._on_retired = on_retired
        self._retirement = self._loop.call_later(seconds, self.abort)

    def resume(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
        self._retirement, self._on_retired = None, _ignore
        self._begin()

    def abort(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"not a stream: {transport!r}")
        self._transport = transport
        transport.set_write_buffer_limits(READ_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._is_complete or self._answer is None or self._parser is None:
            # Nobody asked for it, so what comes next could be taken for the answer to something else.
            self.abort()
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._break_off(f"what it answered is no HTTP/1.1: {exc!r}")
            self.abort()
            return
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            self._break_off(f"the head of its answer has more than {MAX_HEAD_BYTES} bytes")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._has_head and self._ends_with_connection and exc is None and self._error is None:
            self._complete()
        elif not self._is_complete:
            self._break_off("it closed the connection" if exc is None else repr(exc))
        self._writable.set()
        if self._sending is not None:
            self._sending.cancel()
        if self._retirement is not None:
            self._retirement.cancel()
        self._parser = None  # it holds us
        self._on_retired(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- the parser's side -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._has_head:
            # It says more than it was asked.
            self._goes_on = False

    def on_status(self, text: bytes) -> None:
        if not self._has_head:
            self._reason += text

    def on_header(self, name: bytes, value: bytes) -> None:
        # Later ones are trailers, which nobody asks for.
        if not self._has_head:
            self._headers.add(_text(name), _text(value))

    def on_headers_complete(self) -> None:
        if self._parser is None or self._has_head:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._is_informational = True
            return
        self._has_head = True
        answer = _Answer(status=status, reason=_text(self._reason), headers=self._headers)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
        has_none = self._is_head_request or status in (204, 304)
        is_framed = "Content-Length" in self._headers or "Transfer-Encoding" in self._headers
        self._ends_with_connection = not (is_framed or has_none)
        if self._is_head_request:
            # The parser waits for the body that its headers tell of; it is of no use any more.
            self._complete()
        else:
            self._goes_on = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self._is_complete:
            return
        self._chunks.append(body)
        self._chunk_bytes += len(body)
        if self._chunk_bytes > READ_BYTES and not self._is_paused:
            self._is_paused = True
            self._connected().pause_reading()
        self._wake_reader()

    def on_message_complete(self) -> None:
        if self._is_informational:
            self._is_informational = False
            self._reason, self._headers = b"", CIMultiDict()
        else:
            self._complete()

    # --- in common ---------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        self._is_complete = True
        self._wake_reader()

    def _break_off(self, reason: str) -> None:
        if self._error is None:
            self._error = BrokenOffError(reason)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._error)
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)

    def _connected(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("used before it was connected")
        return self._transport


def _connects_at_once(peer: socket.socket, address: tuple[str, int]) -> bool:
    """Asked again, the kernel knows of a connection over loopback already, and the event loop need not wait for it."""
    return peer.connect_ex(address) == 0 or peer.connect_ex(address) in (0, errno.EISCONN)


def _ignore(_connection: _Connection) -> None:
    """Nobody keeps it."""


def _head(address: str, request: ForwardRequest) -> bytes:
    """The request line and the headers. Raises ValueError for a line break in one of them."""
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"]
    if "Host" not in request.headers:
        lines.append(f"Host: {address}")
    if isinstance(request.body, bytes):
        lines.append(f"Content-Length: {len(request.body)}")
    elif request.body is None:
        if request.method in _WITH_A_BODY:
            lines.append("Content-Length: 0")
    elif "Content-Length" in request.headers:
        lines.append(f"Content-Length: {request.headers['Content-Length']}")
    else:
        lines.append("Transfer-Encoding: chunked")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("the request line and the headers must have no line breaks")
    return f"{text}\r\n\r\n".encode("utf-8", "surrogateescape")


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
