"""Counts the requests and bytes between the functions and an S3 server, by a proxy that reads the requests' heads."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from tests.servers import LOOPBACK

_CHUNK_BYTES = 256 * 1024


@dataclass(kw_only=True)
class S3Counts:
    url: str = ""
    """The proxy's address."""
    requests: Counter[str] = field(default_factory=Counter)
    """By method."""
    bytes_sent: int = 0
    """From the functions to the server, heads included."""
    bytes_received: int = 0

    def snapshot(self) -> S3Counts:
        return S3Counts(requests=Counter(self.requests), bytes_sent=self.bytes_sent, bytes_received=self.bytes_received)

    def since(self, earlier: S3Counts) -> S3Counts:
        return S3Counts(
            requests=self.requests - earlier.requests,
            bytes_sent=self.bytes_sent - earlier.bytes_sent,
            bytes_received=self.bytes_received - earlier.bytes_received,
        )


class _Requests:
    """httptools' callbacks for one connection."""

    def __init__(self, counts: S3Counts) -> None:
        self._counts = counts
        self.parser = httptools.HttpRequestParser(self)

    def on_headers_complete(self) -> None:
        self._counts.requests[self.parser.get_method().decode("ascii")] += 1


@contextmanager
def counting(server_url: str) -> Iterator[S3Counts]:
    """Run the proxy in a thread of its own."""
    counts, loop = S3Counts(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="S3 counts", daemon=True)
    thread.start()
    try:
        listening = asyncio.run_coroutine_threadsafe(_listen(counts, server_url), loop).result(timeout=30)
        try:
            yield counts
        finally:
            asyncio.run_coroutine_threadsafe(_close(listening), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()


async def _listen(counts: S3Counts, server_url: str) -> asyncio.Server:
    parts = urlsplit(server_url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled when the proxy ends; asyncio would report that as an error.
        with suppress(asyncio.CancelledError):
            there, back = await asyncio.open_connection(parts.hostname, parts.port)
            directions = (_send(reader, back, counts), _receive(there, writer, counts))
            await asyncio.wait({asyncio.ensure_future(each) for each in directions})

    server = await asyncio.start_server(connected, LOOPBACK, 0, limit=_CHUNK_BYTES)
    counts.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    return server


async def _close(server: asyncio.Server) -> None:
    server.close()
    connections = asyncio.all_tasks() - {asyncio.current_task()}
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: S3Counts) -> None:
    requests = _Requests(counts)
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            counts.bytes_sent += len(chunk)
            requests.parser.feed_data(chunk)
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: S3Counts) -> None:
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            counts.bytes_received += len(chunk)
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
