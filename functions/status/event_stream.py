"""A job's changes as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from darkroom.contract.jobs import JobRecord
from darkroom.contract.listing import KEEP_ALIVE_S, MAX_STREAM_S, RECONNECT_MS
from functions.status.answers import JobAnswers

MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_COMMENT = b": still here\n\n"
"""So that nobody between takes the silence for a dead connection."""


async def event_stream(answers: JobAnswers, first: JobRecord) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    async for record in answers.changes(first, for_at_most_s=MAX_STREAM_S, silence_s=KEEP_ALIVE_S):
        yield _COMMENT if record is None else _event(record, await answers.view(record))


def _event(record: JobRecord, view: bytes) -> bytes:
    """Named by the job's status. JSON without line breaks is one data line."""
    return b"event: %b\nid: %b-%d\ndata: %b\n\n" % (
        record.status.encode(),
        record.status.encode(),
        record.attempts,
        view,
    )
