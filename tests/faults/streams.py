"""The Broker's stream from outside: full, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import nats
from nats.js import JetStreamContext

from tests.faults.faulty_stack import FaultyStack

BROKER_STREAM = "KN_DARKROOM__DARKROOM_KNE_TRIGGER"
DEAD_LETTER_STREAM = "DARKROOM_DEAD_LETTERS"


@contextmanager
def full_stream(faulty: FaultyStack) -> Iterator[None]:
    """No event fits into the Broker's stream any more."""
    _limit(faulty, max_bytes=1)
    try:
        yield
    finally:
        _limit(faulty, max_bytes=-1)


def delete_streams(faulty: FaultyStack) -> None:
    async def delete(jetstream: JetStreamContext) -> None:
        for name in (BROKER_STREAM, DEAD_LETTER_STREAM):
            await jetstream.delete_stream(name)

    _ask(faulty, delete)


def _limit(faulty: FaultyStack, *, max_bytes: int) -> None:
    async def update(jetstream: JetStreamContext) -> None:
        config = (await jetstream.stream_info(BROKER_STREAM)).config
        await jetstream.update_stream(config.evolve(max_bytes=max_bytes))

    _ask(faulty, update)


def _ask(faulty: FaultyStack, call: Callable[[JetStreamContext], Awaitable[None]]) -> None:
    async def connected() -> None:
        client = await nats.connect(faulty.stack.addresses["nats"])
        try:
            await call(client.jetstream())
        finally:
            await client.close()

    asyncio.run(connected())
