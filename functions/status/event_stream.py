"""A job's changes as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

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


def _event(record: JobRecord, view: dict[str, Any]) -> bytes:
    """Named by the job's status. JSON has no line breaks, so one data line holds it."""
    data = json.dumps(view, separators=(",", ":"), ensure_ascii=False)
    return f"event: {record.status}\nid: {record.status}-{record.attempts}\ndata: {data}\n\n".encode()
