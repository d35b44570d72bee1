"""Takes out of the record what may not be kept: every entry that contains a text, and what became of those events.

A stream's messages cannot be changed, and readers rely on their order. So the batches from the first that has such an
entry on are written again without them, in their order, and each is deleted once its successor is stored. nats-server
overwrites what it deletes. What fails half way is done by the next call.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import aclosing

import nats.errors
import nats.js.errors

from darkroom.errors import DependencyUnavailableError
from darkroom.local.eventing.record.entries import Accepted, TriggersKnown, begins, decode, event_of, has_id
from darkroom.local.eventing.record.reader import Batch, stored_batches
from darkroom.local.eventing.record.recorder import STREAM, SUBJECT, TRIGGERS_HEADER, Recorder

_ACCEPTED, _TRIGGERS = begins(Accepted), begins(TriggersKnown)


async def forget(recorder: Recorder, texts: Collection[str]) -> int:
    """Take out all entries that contain one of the texts, and return how many. Raises DependencyUnavailableError.

    The texts are of ASCII, without quotes and backslashes, so that they are in JSON as they are.
    """
    await recorder.write()
    async with recorder.alone():
        try:
            needles, first = await _search(recorder, {text.encode() for text in texts})
            return 0 if first is None else await _rewrite(recorder, needles, first)
        except (nats.errors.Error, OSError) as exc:
            raise DependencyUnavailableError("record", f"the record cannot be changed ({exc!r})") from exc


async def _search(recorder: Recorder, texts: set[bytes]) -> tuple[set[bytes], int | None]:
    """Return what all lines to take out contain, and the number of the first message that has one."""
    needles = set(texts)
    async with aclosing(stored_batches(recorder)) as read:
        async for batch in read:
            if _has_any(batch.data, texts):
                needles |= {has_id(id) for id in _events_with(batch, texts)}
    # An event's first delivery may be written before its acceptance, so only now the first can be found.
    async with aclosing(stored_batches(recorder)) as read:
        async for batch in read:
            if _has_any(batch.data, needles):
                return needles, batch.sequence
    return needles, None


def _events_with(batch: Batch, texts: set[bytes]) -> Iterator[str]:
    for _, line in batch.lines():
        if line.startswith(_ACCEPTED) and _has_any(line, texts):
            entry = decode(line)
            event = event_of(entry) if isinstance(entry, Accepted) else None
            if event is not None:
                yield event.id


async def _rewrite(recorder: Recorder, needles: set[bytes], first: int) -> int:
    jetstream, forgotten = recorder.jetstream, 0
    last = (await jetstream.stream_info(STREAM)).state.last_seq
    for sequence in range(first, last + 1):
        try:
            message = await jetstream.get_msg(STREAM, sequence)
        except nats.js.errors.NotFoundError:
            continue
        batch = Batch(
            sequence=sequence, digest=(message.headers or {}).get(TRIGGERS_HEADER, ""), data=message.data or b""
        )
        kept = [line for _, line in batch.lines() if not _is_to_go(line, needles)]
        if kept and not _is_past(batch, recorder.limits.max_age_s):
            # Without the id of its first publication, which would make it a duplicate.
            await jetstream.publish(SUBJECT, b"\n".join(kept), headers={TRIGGERS_HEADER: batch.digest})
        await jetstream.delete_msg(STREAM, sequence)
        forgotten += batch.data.count(b"\n") + 1 - len(kept)
    return forgotten


def _is_to_go(line: bytes, needles: set[bytes]) -> bool:
    return _has_any(line, needles) and not line.startswith(_TRIGGERS)


def _is_past(batch: Batch, max_age_s: float) -> bool:
    """Return whether the batch is older than the record keeps: what is written again would live on."""
    entry = decode(batch.data.partition(b"\n")[0])
    return entry is not None and entry.at < time.time() - max_age_s


def _has_any(data: bytes, needles: set[bytes]) -> bool:
    return any(needle in data for needle in needles)
