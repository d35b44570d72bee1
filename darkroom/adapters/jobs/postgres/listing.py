"""Lists an owner's jobs, newest first, by a cursor: a place in the index, so that each page costs the same."""

from __future__ import annotations

from datetime import UTC, datetime

from darkroom.adapters.jobs import JobCursor, JobPage
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.records import record_or_unreadable
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.unreadable import UnreadableJob

MAX_EXAMINED = 1000
"""Jobs that one call looks at for those of a status or a type. The cursor says where to go on."""
_PAGE = """
SELECT CASE WHEN (%(status)s::text IS NULL OR j.status = %(status)s) AND (%(type)s::text IS NULL OR j.type = %(type)s)
    THEN to_jsonb(j) END, j.created, j.id
FROM (
    (SELECT * FROM darkroom.jobs WHERE owner = %(owner)s AND (created, id) < (%(created)s, %(id)s)
        ORDER BY created DESC, id DESC LIMIT %(examined)s)
    UNION ALL
    (SELECT * FROM darkroom.finished WHERE owner = %(owner)s AND (created, id) < (%(created)s, %(id)s)
        ORDER BY created DESC, id DESC LIMIT %(examined)s)
) AS j
ORDER BY j.created DESC, j.id DESC LIMIT %(examined)s
"""
_BEGINNING = ("infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff")


def list_page(
    connections: Connections,
    owner: str,
    *,
    status: JobStatus | None,
    job_type: str | None,
    limit: int,
    after: JobCursor | None,
) -> JobPage:
    is_filtered = status is not None or job_type is not None
    examined = MAX_EXAMINED if is_filtered else limit + 1
    created, job_id = _BEGINNING if after is None else (_moment(after.created_ms), str(after.job_id))
    rows = connections.ask(
        _PAGE,
        {
            "status": None if status is None else status.value,
            "type": job_type,
            "owner": owner,
            "created": created,
            "id": job_id,
            "examined": examined,
        },
    )
    records: list[JobRecord | UnreadableJob] = []
    last, more = None, len(rows) == examined and is_filtered
    for row, created_at, found_id in rows:
        if row is not None and len(records) == limit:
            more = True
            break
        last = JobCursor(created_ms=round(created_at.timestamp() * 1000), job_id=found_id)
        if row is not None:
            records.append(record_or_unreadable(row))
    return JobPage(records=records, next=last if more else None)


def _moment(since_epoch_ms: int) -> str:
    return datetime.fromtimestamp(since_epoch_ms / 1000, tz=UTC).isoformat()
