"""Searches jobs in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.adapters.jobs import JobCursor
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch, milliseconds_of
from darkroom.contract.jobs import JobRecord


def search_records(
    records: Sequence[JobRecord], wanted: JobSearch, *, limit: int, after: JobCursor | None
) -> FoundJobs:
    ordered = sorted(records, key=_place, reverse=True)
    if after is not None:
        ordered = [record for record in ordered if _place(record) < (after.created_ms, str(after.job_id))]
    fitting = [record for record in ordered if wanted.matches(record)]
    page, has_more = fitting[:limit], len(fitting) > limit
    last = JobCursor(created_ms=milliseconds_of(page[-1].created_at), job_id=page[-1].job_id) if page else None
    return FoundJobs(records=page, next=last if has_more else None, looked_at=len(ordered))


def _place(record: JobRecord) -> tuple[int, str]:
    return milliseconds_of(record.created_at), str(record.job_id)
