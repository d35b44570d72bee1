"""A connection to an instance, as asyncio has it: sends a request, feeds its answer, holds back whoever is faster."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterable
from typing import cast

from darkroom.local.revisions.answer import Answer, State
from darkroom.local.revisions.forwarding import ForwardRequest
from darkroom.local.revisions.patient_socket import PatientSocket

CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 256 * 1024
"""How much of a body is held when its reader is slower than its sender, before the sender has to wait."""
_CONNECTED = (0, errno.EISCONN)


class NotReachedError(Exception):
    """There is no connection, so nothing was sent."""


class Connection(asyncio.Protocol):
    transport: asyncio.Transport
    retirement: asyncio.TimerHandle
    """While it is idle: when it is closed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._answer: Answer | None = None
        self._sending: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._arrival: asyncio.Future[None] | None = None

    async def ask(self, head: bytes, request: ForwardRequest) -> Answer:
        """Send the request, a streamed body in the background, and wait for the answer's head."""
        answer = self._answer = Answer(to_head=request.method == "HEAD")
        body, self._sending = request.body, None
        if body is None or isinstance(body, bytes):
            self.transport.write(head + (body or b""))
        else:
            self.transport.write(head)
            is_chunked = "Content-Length" not in request.headers
            self._sending = asyncio.create_task(self._send(body, answer, is_chunked=is_chunked))
        while answer.state is State.HEAD:
            await self._more()
        if answer.error is not None:
            raise answer.error
        return answer

    async def read(self) -> bytes:
        """What has come of the body since; empty at its end."""
        answer = self._asked()
        while not answer.body_bytes and answer.state is State.BODY:
            await self._more()
        if answer.body_bytes:
            self.transport.resume_reading()
            return answer.take_body()
        if answer.error is not None:
            raise answer.error
        return b""

    @property
    def is_reusable(self) -> bool:
        """The answer has come and was read as a whole, the request has gone as a whole, and the other side goes on."""
        answer = self._asked()
        return (
            answer.state is State.DONE
            and answer.keeps_alive
            and not answer.body_bytes
            and (self._sending is None or self._sending.done())
            and not self.transport.is_closing()
            and self.transport.get_write_buffer_size() == 0
        )

    def abort(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self.transport.abort()

    async def _send(self, body: AsyncIterable[bytes], answer: Answer, *, is_chunked: bool) -> None:
        try:
            async for piece in body:
                if piece:
                    self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
                    await self._writable.wait()
            if is_chunked:
                self.transport.write(b"0\r\n\r\n")
        except Exception as exc:
            # Whoever sends the body went away or broke its rules: the function must not take it for whole.
            answer.break_off(f"the request's body ended early: {exc!r}")
            self.transport.abort()

    def _asked(self) -> Answer:
        if self._answer is None:
            raise RuntimeError("used before anything was asked")
        return self._answer

    async def _more(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _wake_reader(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # --- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(READ_BYTES)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.state is State.DONE:
            # Nobody asked for it, so what comes next could be taken for the answer to something else.
            self.transport.abort()
            return
        answer.feed(data)
        if answer.error is not None:
            self.transport.abort()
        elif answer.body_bytes > READ_BYTES:
            self.transport.pause_reading()
        self._wake_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.end(exc)
        self._writable.set()
        if self._sending is not None:
            self._sending.cancel()
        self._wake_reader()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


async def connect(address: str) -> Connection:
    """`address` is host:port. Raises NotReachedError."""
    host, _, port = address.rpartition(":")
    target, peer = (host, int(port)), PatientSocket()
    try:
        peer.setblocking(False)
        # Asked again, the kernel knows of a connection over loopback already, and the event loop need not wait for it.
        if peer.connect_ex(target) not in _CONNECTED and peer.connect_ex(target) not in _CONNECTED:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(peer, target)
        _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(address), sock=peer)
    except (OSError, TimeoutError) as exc:
        peer.close()
        raise NotReachedError(f"{address}: {exc!r}") from exc
    except BaseException:
        peer.close()
        raise
    if connection.transport.is_closing():
        raise NotReachedError(f"{address} closed the connection at once")
    return connection
