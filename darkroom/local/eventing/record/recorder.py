"""Writes the record: in batches, beside the Brokers' work and never in its way.

What happens is kept in memory for a moment and published about once per second, or sooner when there is much. While
NATS is away, up to `MAX_PENDING_BYTES` wait; what comes then is dropped and counted, and the record says so. Whoever
follows the record live gets each entry at once, from memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js import api as jsapi

from darkroom.errors import DependencyUnavailableError
from darkroom.local.eventing.doors import entrance
from darkroom.local.eventing.record.entries import (
    MAX_PAYLOAD_BYTES,
    Accepted,
    AnyEntry,
    Attempted,
    DeadLettered,
    Lost,
    Missed,
    Refused,
    TriggersKnown,
    encode,
    without_data,
)
from darkroom.local.eventing.stream import Stored
from darkroom.local.reporting import Report

STREAM = "DARKROOM_RECORD"
SUBJECT = "_record.darkroom"
"""No Broker's consumer can match it: their subjects begin with a namespace, which never begins with an underscore."""
TRIGGERS_HEADER = "Darkroom-Triggers"
WRITE_AFTER_S = 1.0
PUBLISH_TIMEOUT_S = 2.0
RETRY_AFTER_S = 0.5
CLOSE_WITHIN_S = 2.0
BATCH_BYTES = 256 * 1024
"""A batch is published as soon as there is as much; to publish one costs about the same at a quarter of it. A larger
entry has a batch of its own, which is below NATS's limit of 1 MiB."""
MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_UNREAD_ENTRIES = 5000
"""Of one follower, who is told how many it missed."""
TRIGGERS_AGAIN_AFTER_BYTES = 512 * 1024
_ENTRY_BYTES = 400
"""What an entry takes besides its payload, roughly."""


@dataclass(frozen=True, kw_only=True)
class RecordLimits:
    """How much is kept: whatever is reached first. The oldest is dropped first."""

    max_bytes: int = 64 * 1024 * 1024
    max_age_s: float = 24 * 3600.0
    max_batches: int = 50_000


class Follower:
    """Gets each entry as it happens."""

    def __init__(self) -> None:
        self._unread: deque[AnyEntry] = deque()
        self._missed = 0
        self._arrived = asyncio.Event()

    def put(self, entry: AnyEntry) -> None:
        if len(self._unread) >= MAX_UNREAD_ENTRIES:
            self._missed += 1
        else:
            self._unread.append(entry)
        self._arrived.set()

    async def take(self) -> AnyEntry:
        while not self._unread:
            if self._missed:
                missed, self._missed = self._missed, 0
                return Missed(number=0, at=time.time(), count=missed)
            self._arrived.clear()
            await self._arrived.wait()
        return self._unread.popleft()


class Recorder:
    """Does nothing until it is opened, which a stack without a record never does."""

    def __init__(self, limits: RecordLimits, report: Report) -> None:
        self.limits = limits
        self.triggers = TriggersKnown(number=0, at=0.0, digest="", triggers=[])
        self.missed = 0
        """Entries that were dropped in this run."""
        self._report = report
        self._connection: Client | None = None
        self._jetstream: JetStreamContext | None = None
        # The next run's numbers begin above, unless a million entries per second were written.
        self._number = self._run = time.time_ns() // 1000
        self._pending: deque[AnyEntry] = deque()
        self._pending_bytes = 0
        self._gap = 0
        self._batch: _Batch | None = None
        self._since_triggers_bytes = TRIGGERS_AGAIN_AFTER_BYTES
        self._is_failing = False
        self._has_some = asyncio.Event()
        self._has_much = asyncio.Event()
        self._writing = asyncio.Lock()
        self._followers: set[Follower] = set()
        self._written_triggers = self.triggers

    # --- what happens ------------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        return self._connection is not None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    def accepted(self, broker: str, stored: Stored, *, arrived_at: float) -> None:
        """Record an event that a Broker's stream has, by the current entrance."""
        if self._connection is None:
            return
        way, payload, left_out = entrance(), stored.payload, None
        if len(payload) > MAX_PAYLOAD_BYTES:
            left_out, payload = len(payload), without_data(payload)
        self._add(
            Accepted(
                number=self.next_number(),
                at=arrived_at,
                broker=broker,
                sequence=stored.sequence,
                door=way.door,
                name=way.name or None,
                cause=way.cause,
                is_duplicate=stored.is_duplicate,
                data_left_out_bytes=left_out,
                payload=payload,
            )
        )

    def refused(self, broker: str, error: str, *, id: str | None = None, type: str | None = None) -> None:
        if self._connection is not None:
            self._add(Refused(**self._next(), broker=broker, error=error, id=id, type=type))

    def attempted(self, entry: Attempted) -> None:
        """Record an attempt to deliver, whose number is the next one."""
        if self._connection is not None:
            self._add(entry)

    def dead_lettered(self, **fields: Any) -> None:
        if self._connection is not None:
            self._add(DeadLettered(**self._next(), **fields))

    def lost(self, **fields: Any) -> None:
        if self._connection is not None:
            self._add(Lost(**self._next(), **fields))

    def describe_triggers(self, triggers: Sequence[Mapping[str, Any]]) -> None:
        """Set the Triggers in force: what a verdict needs of each, as in `TriggersKnown`. Call it at each change."""
        found = [dict(trigger) for trigger in triggers]
        digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
        self.triggers = TriggersKnown(**self._next(), digest=digest, triggers=found)
        # Never dropped: what waits before it belongs to the Triggers before.
        self._pending.append(self.triggers)
        self._pending_bytes += _size_of(self.triggers)
        self._has_some.set()

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def _next(self) -> dict[str, Any]:
        return {"number": self.next_number(), "at": time.time()}

    def _add(self, entry: AnyEntry) -> None:
        for follower in self._followers:
            follower.put(entry)
        if self._pending_bytes >= MAX_PENDING_BYTES:
            self._gap += 1
            return
        self._pending.append(entry)
        self._pending_bytes += _size_of(entry)
        self._has_some.set()
        if self._pending_bytes >= BATCH_BYTES:
            self._has_much.set()

    # --- its stream --------------------------------------------------------------------------------------------------

    async def open(self, connection: Client) -> None:
        """Create the stream. If that fails, it is reported and tried again: no Broker depends on the record."""
        self._connection = connection
        self._jetstream = connection.jetstream(timeout=PUBLISH_TIMEOUT_S)
        try:
            await self.ensure()
        except (nats.errors.Error, OSError, DependencyUnavailableError) as exc:
            self._failed(exc)

    async def ensure(self) -> None:
        """Create the stream, or change it to the limits in force. Its entries stay."""
        jetstream, config = self.jetstream, self._config()
        try:
            existing = (await jetstream.stream_info(STREAM)).config
        except nats.js.errors.NotFoundError:
            self._since_triggers_bytes = TRIGGERS_AGAIN_AFTER_BYTES
            await jetstream.add_stream(config)
            return
        if any(getattr(existing, name) != getattr(config, name) for name in ("max_bytes", "max_age", "max_msgs")):
            await jetstream.update_stream(config)

    def _config(self) -> jsapi.StreamConfig:
        limits = self.limits
        return jsapi.StreamConfig(
            name=STREAM,
            subjects=[SUBJECT],
            description="what happened to the events of `darkroom up`; safe to delete",
            retention=jsapi.RetentionPolicy.LIMITS,
            storage=jsapi.StorageType.FILE,
            num_replicas=1,
            discard=jsapi.DiscardPolicy.OLD,
            max_bytes=limits.max_bytes,
            max_age=limits.max_age_s,
            max_msgs=limits.max_batches,
            duplicate_window=min(120.0, limits.max_age_s),
        )

    @property
    def jetstream(self) -> JetStreamContext:
        if self._jetstream is None or self._connection is None:
            raise DependencyUnavailableError("record", "nothing is recorded: `darkroom up` runs without a record")
        if not self.is_connected:
            raise DependencyUnavailableError("nats", "NATS is not connected, and it has the record")
        return self._jetstream

    # --- writing -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write what happens, until cancelled."""
        while True:
            await self._has_some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_AFTER_S):
                    await self._has_much.wait()
            try:
                await self.write()
            except DependencyUnavailableError as exc:
                self._failed(exc)
                await asyncio.sleep(RETRY_AFTER_S)

    async def write(self) -> None:
        """Write all that has happened until now. Raises DependencyUnavailableError."""
        last = self._number
        async with self._writing:
            while self._unwritten() <= last:
                # Kept until it is stored: if that fails, it is tried again as it is.
                self._batch = self._batch or self._next_batch()
                await self._publish(self._batch)
                self._batch = None
            if not self._pending:
                self._has_some.clear()
            if self._pending_bytes < BATCH_BYTES:
                self._has_much.clear()
            self._recovered()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep what happens in memory meanwhile: nothing else is written to the stream."""
        async with self._writing:
            yield

    async def close(self) -> None:
        """Write what waits, if NATS takes it in time."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.write()
        except (DependencyUnavailableError, TimeoutError) as exc:
            self._failed(exc)
        self._connection = None

    def _unwritten(self) -> float:
        """Return the number of the first entry that is not written; infinity if all are."""
        if self._batch is not None:
            return self._batch.first
        return self._pending[0].number if self._pending else math.inf

    def _next_batch(self) -> _Batch:
        first, digest = self._pending[0].number, self._written_triggers.digest
        lines, size = list[bytes](), 0
        while self._pending and (not lines or size + _size_of(self._pending[0]) <= BATCH_BYTES):
            entry = self._pending.popleft()
            self._pending_bytes -= _size_of(entry)
            lines.append(encode(entry))
            size += len(lines[-1])
            if isinstance(entry, TriggersKnown):
                self._written_triggers, self._since_triggers_bytes = entry, 0
        self._since_triggers_bytes += size
        if self._since_triggers_bytes >= TRIGGERS_AGAIN_AFTER_BYTES:
            lines.append(encode(self._written_triggers))
            self._since_triggers_bytes = 0
        if self._gap:
            lines.append(encode(self._end_of_gap()))
        return _Batch(first=first, digest=digest, entries=len(lines), data=b"\n".join(lines))

    def _end_of_gap(self) -> Missed:
        gap, self._gap = self._gap, 0
        self.missed += gap
        self._report("record.gap", entries=gap)
        return Missed(**self._next(), count=gap)

    async def _publish(self, batch: _Batch) -> None:
        # With its id, a batch whose ack was lost is not stored twice.
        headers = {"Nats-Msg-Id": f"{self._run}-{batch.first}", TRIGGERS_HEADER: batch.digest}
        jetstream = self.jetstream
        try:
            try:
                await jetstream.publish(SUBJECT, batch.data, headers=headers)
            except (nats.js.errors.NoStreamResponseError, nats.js.errors.NotFoundError):
                # nats-server has lost its data.
                await self.ensure()
                await jetstream.publish(SUBJECT, batch.data, headers=headers)
        except nats.errors.MaxPayloadError:
            # A server of the user's with a smaller limit. Trying again would not help.
            self._gap += batch.entries
        except (nats.errors.Error, OSError) as exc:
            raise DependencyUnavailableError("record", f"JetStream did not take the record ({exc!r})") from exc

    def _failed(self, exc: Exception) -> None:
        if not self._is_failing:
            detail = exc.detail if isinstance(exc, DependencyUnavailableError) else repr(exc)
            self._report("record.not_written", error=detail)
        self._is_failing = True

    def _recovered(self) -> None:
        if self._is_failing:
            self._report("record.written_again")
        self._is_failing = False


@dataclass(frozen=True, kw_only=True)
class _Batch:
    first: int
    """The number of its first entry."""
    digest: str
    """Of the Triggers in force at its beginning."""
    entries: int
    data: bytes


def _size_of(entry: AnyEntry) -> int:
    return _ENTRY_BYTES + (len(entry.payload) if isinstance(entry, Accepted) else 0)
