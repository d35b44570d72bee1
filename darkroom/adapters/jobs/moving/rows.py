"""A row of PostgreSQL from a job's record in Redis and what was beside it, as `lua/move_take.lua` hands them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.made_records import PREFIX
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.thin_records import written_out

Row = dict[str, Any]
Fields = Mapping[str, str]


_TEXTS = ("type", "status", "owner", "parameters", "storage_key", "request_id")
_NUMBERS = ("attempts", "emissions", "fence")
_NUMBERS_OR_NONE = ("released",)
_NUMBERS_OR_ZERO = ("confirmed", "redriven", "redrives")
_MOMENTS = ("created", "claimed", "lease", "started", "restored", "finished")
_JSON = ("result", "error", "timings")


def row_of(taken: Fields, job_id: UUID) -> Row:
    """Return the arguments of `darkroom.adopt` for one job.

    A job of which only something that is owed was left has no `status`. Raises JobUnreadableError for a record that
    this version cannot read, which is therefore not moved.
    """
    beside = {name.removeprefix(">"): value for name, value in taken.items() if name.startswith(">")}
    fields = {name: value for name, value in taken.items() if not name.startswith(">")}
    row: Row = {"id": str(job_id), "keeper": beside.get("keeper"), "owed": _owed(beside.get("owed"), job_id)}
    if fields:
        record_of(fields, job_id)  # all of it can be read
        row |= _record(written_out(dict(fields), job_id)) | _beside(beside)
    return row


def _record(f: dict[str, str]) -> Row:
    return {
        **{name: f[name] for name in _TEXTS},
        **{name: int(f[name]) for name in _NUMBERS},
        **{name: int(f[name]) if name in f else None for name in _NUMBERS_OR_NONE},
        **{name: int(f.get(name, 0)) for name in _NUMBERS_OR_ZERO},
        **{name: _moment(f.get(name)) for name in _MOMENTS},
        **{name: json.loads(f[name]) if name in f else None for name in _JSON},
        "cost": f.get("cost", "standard"),
        "trace": f.get("trace", ""),
        "webhooks": f.get("w", ""),
        "fingerprint": f.get("fingerprint", f.get("g", "")),
        "turn": float(f.get("turn", 1)),
        "presets": json.loads(f.get("presets", "{}")),
        "worker": f.get("worker"),
        "claim": f.get("claim"),
        "waits": "waits" in f,
        "timeout_ms": int(f["timeout"]) if "timeout" in f else None,
        "history": [_attempt(entry) for entry in _entries(f.get("history"))],
        "withdrawn": _entries(f.get("withdrawn")),
        "unheard": [_claim(entry) for entry in _entries(f.get("unheard"))],
        "made": {name.removeprefix(PREFIX): json.loads(f[name]) for name in f if name.startswith(PREFIX)},
    }


def _beside(beside: Fields) -> Row:
    return {
        "due": _moment(beside.get("due")),
        "given_up": _moment(beside.get("given_up")),
        "in_window": "window" in beside,
        "key": beside.get("key", ""),
        "key_until": _moment(beside.get("key_until")),
    }


def _owed(text: str | None, job_id: UUID) -> list[Row]:
    entries = [] if text is None else json.loads(text)
    return [_owed_webhook(entry, job_id) for entry in entries]


def _owed_webhook(entry: list[Any], job_id: UUID) -> Row:
    endpoint, webhook_id, tries, since, error, due, given_up, told = entry
    found = json.loads(told)
    body = record_of(found, job_id).view() if isinstance(found, list) else found
    return {
        "endpoint": endpoint,
        "webhook_id": webhook_id,
        "told": {"body": body},
        "tries": tries,
        "since": _moment(since),
        "error": error,
        "due": _moment(due or None),
        "given_up": _moment(given_up or None),
    }


def _entries(text: str | None) -> list[str]:
    return [] if text is None else text.split(";")[:-1]


def _attempt(entry: str) -> list[Any]:
    fence, began_ms, ended_ms, code, worker, *_ = entry.split(",")
    return [int(fence), int(began_ms), int(ended_ms), code, worker]


def _claim(entry: str) -> list[Any]:
    token, fence = entry.split(",")
    return [token, int(fence)]


def _moment(milliseconds: str | None) -> str | None:
    """Redis writes the scores of its sorted sets as floating-point numbers."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(round(float(milliseconds)) / 1000, tz=UTC).isoformat(timespec="milliseconds")
