"""Counts what goes to and from a server: bytes, and HTTP requests by method."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK_BYTES = 256 * 1024
_REQUEST = re.compile(rb"(GET|PUT|HEAD|DELETE|POST) (/\S*) HTTP/1\.1\r\n")


@dataclass
class Counts:
    sent_bytes: int = 0
    """To the server."""
    received_bytes: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By method."""

    def clear(self) -> None:
        self.sent_bytes = self.received_bytes = 0
        self.requests.clear()


@dataclass(frozen=True)
class CountingProxy:
    url: str
    counts: Counts


@asynccontextmanager
async def counting(target: Callable[[], str]) -> AsyncIterator[CountingProxy]:
    """Run a proxy in front of the server whose URL `target` returns, asked for each connection."""
    counts = Counts()
    served: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(target())
        served[writer] = ended = asyncio.Event()
        try:
            with suppress(OSError):
                to_server = await asyncio.open_connection(parts.hostname, parts.port)
                await asyncio.gather(
                    _pump(reader, to_server[1], counts, is_request=True),
                    _pump(to_server[0], writer, counts, is_request=False),
                )
        finally:
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield CountingProxy(f"http://127.0.0.1:{port}", counts)
    finally:
        server.close()
        # Python 3.11 prints a traceback for each connection whose task is cancelled instead.
        for writer in served:
            writer.close()
        await asyncio.gather(*(ended.wait() for ended in served.values()))


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counts, *, is_request: bool
) -> None:
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            if is_request:
                counts.sent_bytes += len(chunk)
                # A kept connection's request begins a chunk, since the client waits for the last answer.
                if found := _REQUEST.match(chunk):
                    counts.requests[found[1].decode()] += 1
            else:
                counts.received_bytes += len(chunk)
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
