"""A job's timeline: for each attempt, the instance, the start, the wait before it, and the outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from darkroom.contract.jobs import JobRecord, timestamp


def timeline(record: JobRecord) -> list[dict[str, Any]]:
    """Return one entry per attempt in the record, oldest first."""
    entries, waiting_since = [], record.created_at
    for attempt in record.history:
        entry: dict[str, Any] = {
            "claim": attempt.fence,
            "instance": attempt.worker,
            "waited_ms": _milliseconds(waiting_since, attempt.started_at),
            "started_at": timestamp(attempt.started_at),
        }
        if attempt.ended_at is not None:
            entry["ended_at"] = timestamp(attempt.ended_at)
            entry["lasted_ms"] = _milliseconds(attempt.started_at, attempt.ended_at)
            entry["outcome"] = attempt.code or "completed"
            waiting_since = attempt.ended_at
        else:
            entry["outcome"] = "under way"
        entries.append(entry)
    return entries


def _milliseconds(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
