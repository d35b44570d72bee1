"""Reads the record: batch by batch, and parses only the lines that a reader asks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import api as jsapi

from darkroom.errors import DependencyUnavailableError
from darkroom.local.eventing.record.entries import AnyEntry, TriggersKnown, begins, decode
from darkroom.local.eventing.record.recorder import STREAM, SUBJECT, TRIGGERS_HEADER, Recorder

_FETCHED_AT_ONCE = 64
_FETCH_TIMEOUT_S = 5.0
_CONSUMER_LIVES_S = 30.0
_TRIGGERS = begins(TriggersKnown)

Sets = dict[str, TriggersKnown]
"""Triggers by their digest."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    digest: str
    """Of the Triggers in force at its beginning."""
    data: bytes
    sequence: int = 0
    """Its number in the stream."""

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Return the lines, each with the digest of the Triggers that were in force."""
        digest = self.digest
        for line in self.data.split(b"\n"):
            if line.startswith(_TRIGGERS) and isinstance(found := decode(line), TriggersKnown):
                digest = found.digest
            yield digest, line


@dataclass(frozen=True, kw_only=True)
class Found:
    entry: AnyEntry
    digest: str


async def batches(recorder: Recorder, *, since: float | None = None) -> AsyncGenerator[Batch, None]:
    """Read all that has happened since a time, oldest first. Raises DependencyUnavailableError."""
    await recorder.write()
    async with aclosing(stored_batches(recorder, since=since)) as read:
        async for batch in read:
            yield batch


async def stored_batches(recorder: Recorder, *, since: float | None = None) -> AsyncGenerator[Batch, None]:
    """Read all that was written since a time, oldest first. Raises DependencyUnavailableError."""
    jetstream = recorder.jetstream
    config = jsapi.ConsumerConfig(
        ack_policy=jsapi.AckPolicy.NONE, inactive_threshold=_CONSUMER_LIVES_S, mem_storage=True, num_replicas=1
    )
    if since is not None:
        # A batch is written after everything in it has happened.
        config.deliver_policy = jsapi.DeliverPolicy.BY_START_TIME
        config.opt_start_time = datetime.fromtimestamp(since, UTC)
    try:
        left = (await jetstream.stream_info(STREAM)).state.messages
        if left == 0:
            return
        pulling = await jetstream.pull_subscribe(SUBJECT, stream=STREAM, config=config)
        try:
            while left > 0:
                messages = await pulling.fetch(_FETCHED_AT_ONCE, timeout=_FETCH_TIMEOUT_S)
                left = messages[-1].metadata.num_pending
                for message in messages:
                    yield _batch(message)
        except nats.errors.TimeoutError:
            # Nothing is as young as that.
            return
        finally:
            await pulling.unsubscribe()
    except (nats.js.errors.NotFoundError, nats.errors.Error, OSError) as exc:
        raise DependencyUnavailableError("record", f"the record cannot be read ({exc!r})") from exc


def _batch(message: Msg) -> Batch:
    return Batch(
        sequence=message.metadata.sequence.stream,
        digest=(message.headers or {}).get(TRIGGERS_HEADER, ""),
        data=message.data,
    )


async def read(
    recorder: Recorder, wanted: Callable[[bytes], bool], sets: Sets, *, since: float | None = None
) -> AsyncGenerator[Found, None]:
    """Read the entries whose lines are wanted, and fill `sets` with all Triggers on the way.

    Raises DependencyUnavailableError.
    """
    sets[recorder.triggers.digest] = recorder.triggers
    async for batch in batches(recorder, since=since):
        for found in parse(batch, wanted, sets):
            if since is None or found.entry.at >= since:
                yield found


def parse(batch: Batch, wanted: Callable[[bytes], bool], sets: Sets) -> Iterator[Found]:
    for digest, line in batch.lines():
        if line.startswith(_TRIGGERS):
            entry = decode(line)
            if isinstance(entry, TriggersKnown):
                sets[entry.digest] = entry
        elif wanted(line) and (entry := decode(line)) is not None:
            yield Found(entry=entry, digest=digest)


async def bounds(recorder: Recorder) -> dict[str, Any]:
    """Return how far back the record goes, and its limits. Raises DependencyUnavailableError."""
    limits = recorder.limits
    await recorder.write()
    try:
        state = (await recorder.jetstream.stream_info(STREAM)).state
        oldest = None
        async with aclosing(batches(recorder)) as read:
            async for batch in read:
                first = next((entry for _, line in batch.lines() if (entry := decode(line)) is not None), None)
                oldest = None if first is None else first.at
                break
    except (nats.errors.Error, OSError) as exc:
        raise DependencyUnavailableError("record", f"the record cannot be read ({exc!r})") from exc
    return {
        "bytes": state.bytes,
        "batches": state.messages,
        "oldest_at": oldest,
        "missed": recorder.missed,
        "max_bytes": limits.max_bytes,
        "max_age_s": limits.max_age_s,
        "max_batches": limits.max_batches,
    }
