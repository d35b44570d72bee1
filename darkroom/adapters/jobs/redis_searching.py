"""Searches the jobs of all keys in Redis (lua/search.lua)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import JobCursor
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.searching import (
    MAX_LOOKED_AT,
    MAX_OWNERS,
    MAX_READ,
    FoundJobs,
    JobSearch,
    milliseconds_of,
)
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.jobs import JobRecord
from darkroom.contract.unreadable import UnreadableJob


def search_redis(
    run_script: Callable[..., Any], wanted: JobSearch, *, limit: int, after: JobCursor | None
) -> FoundJobs:
    page, looked_at, owners_left_out, *end = run_script(
        "search",
        "0" if wanted.owner is None else "1",
        wanted.owner or "",
        wanted.status or "",
        wanted.job_type or "",
        wanted.error_code or "",
        wanted.id_prefix,
        "-inf" if wanted.since is None else milliseconds_of(wanted.since),
        limit,
        *_place(wanted, after),
        MAX_READ,
        MAX_LOOKED_AT,
        MAX_OWNERS,
    )
    return FoundJobs(
        records=[_record_or_unreadable(flat, UUID(job_id)) for job_id, flat in page],
        next=JobCursor(created_ms=int(end[0]), job_id=UUID(end[1])) if end else None,
        looked_at=int(looked_at),
        owners_left_out=int(owners_left_out),
    )


def _place(wanted: JobSearch, after: JobCursor | None) -> tuple[str | int, str]:
    """Where the search begins: after this moment and id. No id is before all ids of its moment."""
    if after is not None:
        return after.created_ms, str(after.job_id)
    return ("" if wanted.before is None else milliseconds_of(wanted.before)), ""


def _record_or_unreadable(flat: list[str], job_id: UUID) -> JobRecord | UnreadableJob:
    try:
        return record_of(flat, job_id)
    except JobUnreadableError as exc:
        return exc.job
