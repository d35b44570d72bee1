"""Counts what a running stack writes to its streams: messages, and their bytes as JetStream's file store keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats
from nats.aio.msg import Msg

_RECORD_BYTES = 22 + 8
"""A record's head and checksum in nats-server's file store (filestore.go, `fileStoreMsgSize`)."""
_HEADER_LENGTH_BYTES = 4


@dataclass(kw_only=True)
class JetStreamCounts:
    writes: int = 0
    bytes: int = 0

    def snapshot(self) -> JetStreamCounts:
        return JetStreamCounts(writes=self.writes, bytes=self.bytes)

    def since(self, earlier: JetStreamCounts) -> JetStreamCounts:
        return JetStreamCounts(writes=self.writes - earlier.writes, bytes=self.bytes - earlier.bytes)


@asynccontextmanager
async def counting(nats_url: str) -> AsyncIterator[JetStreamCounts]:
    """Count from now on, by a subscription to what the streams take in."""
    counts = JetStreamCounts()

    async def count(message: Msg) -> None:
        counts.writes += 1
        counts.bytes += _stored_bytes(message)

    connection = await nats.connect(nats_url)
    try:
        for info in await connection.jetstream().streams_info():
            for subject in info.config.subjects or ():
                await connection.subscribe(subject, cb=count)
        await connection.flush()
        yield counts
    finally:
        await connection.close()


def _stored_bytes(message: Msg) -> int:
    size = _RECORD_BYTES + len(message.subject) + len(message.data)
    if message.headers:
        lines = sum(len(name.encode()) + len(value.encode()) + 4 for name, value in message.headers.items())
        size += _HEADER_LENGTH_BYTES + len("NATS/1.0\r\n\r\n") + lines
    return size
