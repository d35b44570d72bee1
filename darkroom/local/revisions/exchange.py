"""HTTP/1.1 with an instance: one request and its answer at a time on a connection, bodies streamed both ways.

Every upload and every delivery passes here. aiohttp's client costs more than twice the CPU time per event.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from darkroom.local.revisions.answer import Answer
from darkroom.local.revisions.connection import Connection, connect
from darkroom.local.revisions.forwarding import ForwardRequest

KEPT_IDLE_S = 0.5
"""Much less than any server keeps a connection (uvicorn 5 s, under gunicorn 2 s): it must not close one just as we send
on it, which looks like a function that died while it worked."""


class Exchange:
    """A request that was sent, and the answer as far as it has come. `close` ends it, whatever is still under way."""

    def __init__(self, connections: Connections, connection: Connection, answer: Answer) -> None:
        self._connections, self._connection = connections, connection
        self.status, self.reason, self.headers = answer.status, answer.reason, answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises BrokenOffError when it ends before its time."""
        while chunk := await self._connection.read():
            yield chunk

    def close(self) -> None:
        self._connections.release(self._connection)


class Connections:
    """Kept for a moment after each exchange, for the next with the same instance."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[Connection]] = defaultdict(list)

    async def send(self, address: str, request: ForwardRequest) -> Exchange:
        """`address` is host:port. Returns with the answer's head. Raises NotReachedError, BrokenOffError."""
        head = request.head(address)
        connection = self._kept(address) or await connect(address)
        try:
            answer = await connection.ask(head, request)
        except BaseException:
            connection.abort()
            raise
        return Exchange(self, connection, answer)

    def release(self, connection: Connection) -> None:
        if not connection.is_reusable:
            connection.abort()
            return
        self._idle[connection.address].append(connection)
        connection.retirement = asyncio.get_running_loop().call_later(KEPT_IDLE_S, self._retire, connection)

    def close(self) -> None:
        for connection in [connection for idle in self._idle.values() for connection in idle]:
            self._retire(connection)

    def _kept(self, address: str) -> Connection | None:
        while idle := self._idle.get(address):
            connection = idle[-1]
            # Where the event loop is late, it should have retired; the other side may be closing it by now.
            is_overdue = connection.retirement.when() <= asyncio.get_running_loop().time()
            self._forget(connection)
            if connection.is_reusable and not is_overdue:
                return connection
            connection.abort()
        return None

    def _retire(self, connection: Connection) -> None:
        self._forget(connection)
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        connection.retirement.cancel()
        self._idle[connection.address].remove(connection)
        if not self._idle[connection.address]:
            del self._idle[connection.address]
