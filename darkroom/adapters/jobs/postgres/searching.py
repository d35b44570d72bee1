"""Searches the jobs of all keys in PostgreSQL, by the indexes that there are: of each key's jobs, and of ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from darkroom.adapters.jobs import JobCursor
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.records import record_or_unreadable
from darkroom.adapters.jobs.searching import MAX_OWNERS, MAX_READ, FoundJobs, JobSearch
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.unreadable import UnreadableJob

_TABLES = ("jobs", "finished")
_INDEXED_PREFIX = 6
"""Digits of an id that so few jobs share that all of them are read at once."""
_FITS = """
(%(status)s::text IS NULL OR j.status = %(status)s) AND (%(type)s::text IS NULL OR j.type = %(type)s)
    AND (%(code)s::text IS NULL OR j.error->>0 = %(code)s) AND j.id::text LIKE %(prefix)s
"""
_OWNERS = """
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM (
        SELECT min(owner) AS owner FROM darkroom.jobs UNION ALL SELECT min(owner) FROM darkroom.finished
    ) AS first
    UNION ALL
    SELECT (SELECT min(owner) FROM (
        SELECT min(owner) AS owner FROM darkroom.jobs WHERE owner > before.owner
        UNION ALL SELECT min(owner) FROM darkroom.finished WHERE owner > before.owner
    ) AS next) FROM owners AS before WHERE before.owner IS NOT NULL
)
SELECT owner FROM owners WHERE owner IS NOT NULL LIMIT %s
"""
"""Each owner once, by one probe of the index per owner and partition rather than by reading all jobs."""
_OF_AN_OWNER = """
(SELECT * FROM darkroom.{table} WHERE owner = o.owner AND (created, id) < (%(created)s, %(id)s)
    AND created >= %(since)s ORDER BY created DESC, id DESC LIMIT %(examined)s)
"""
_PAGE = """
SELECT CASE WHEN {fits} THEN to_jsonb(j) END, j.created, j.id
FROM unnest(%(owners)s::text[]) AS o (owner) CROSS JOIN LATERAL ({tables}) AS j
ORDER BY j.created DESC, j.id DESC LIMIT %(examined)s
"""
_BY_ID = """
SELECT to_jsonb(j), j.created, j.id FROM (
    SELECT * FROM darkroom.jobs WHERE id BETWEEN %(first)s AND %(last)s
    UNION ALL SELECT * FROM darkroom.finished WHERE id BETWEEN %(first)s AND %(last)s
) AS j
WHERE (%(owner)s::text IS NULL OR j.owner = %(owner)s) AND j.created >= %(since)s
    AND (j.created, j.id) < (%(created)s, %(id)s) AND {fits}
ORDER BY j.created DESC, j.id DESC LIMIT %(examined)s
"""
_FIRST_ID, _LAST_ID = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"


def search_page(connections: Connections, wanted: JobSearch, *, limit: int, after: JobCursor | None) -> FoundJobs:
    values = _values(wanted, after)
    if len(wanted.id_prefix) >= _INDEXED_PREFIX:
        return _by_id(connections, wanted, values, limit)
    owners, left_out = _owners(connections, wanted)
    if not owners:
        return FoundJobs()
    examined = max(limit + 1, MAX_READ // len(owners)) if _is_filtered(wanted) else limit + 1
    tables = " UNION ALL ".join(_OF_AN_OWNER.format(table=table) for table in _tables(wanted.status))
    rows = connections.ask(_PAGE.format(fits=_FITS, tables=tables), {**values, "owners": owners, "examined": examined})
    return _found(rows, limit, has_more=len(rows) == examined, left_out=left_out)


def _by_id(connections: Connections, wanted: JobSearch, values: dict[str, Any], limit: int) -> FoundJobs:
    prefix = wanted.id_prefix
    ends = {"first": prefix + _FIRST_ID[len(prefix) :], "last": prefix + _LAST_ID[len(prefix) :]}
    rows = connections.ask(_BY_ID.format(fits=_FITS), {**values, **ends, "owner": wanted.owner, "examined": limit + 1})
    return _found(rows, limit, has_more=False, left_out=0)


def _found(rows: list[Any], limit: int, *, has_more: bool, left_out: int) -> FoundJobs:
    """Take the rows until the page is full; one that does not fit has no record."""
    records: list[JobRecord | UnreadableJob] = []
    last, looked_at = None, 0
    for row, created_at, found_id in rows:
        if row is not None and len(records) == limit:
            has_more = True
            break
        looked_at += 1
        last = JobCursor(created_ms=round(created_at.timestamp() * 1000), job_id=found_id)
        if row is not None:
            records.append(record_or_unreadable(row))
    return FoundJobs(records=records, next=last if has_more else None, looked_at=looked_at, owners_left_out=left_out)


def _values(wanted: JobSearch, after: JobCursor | None) -> dict[str, Any]:
    before = "infinity" if wanted.before is None else wanted.before.isoformat()
    # Row comparison: before the moment itself there is no id.
    created, job_id = (before, _LAST_ID if wanted.before is None else _FIRST_ID)
    if after is not None:
        created = datetime.fromtimestamp(after.created_ms / 1000, tz=UTC).isoformat()
        job_id = str(after.job_id)
    return {
        "status": None if wanted.status is None else wanted.status.value,
        "type": wanted.job_type,
        "code": wanted.error_code,
        "prefix": f"{wanted.id_prefix}%",
        "since": "-infinity" if wanted.since is None else wanted.since.isoformat(),
        "created": created,
        "id": job_id,
    }


def _owners(connections: Connections, wanted: JobSearch) -> tuple[list[str], int]:
    """Return the keys whose jobs are looked at, and how many at least are left out."""
    if wanted.owner is not None:
        return [wanted.owner], 0
    found = [owner for (owner,) in connections.ask(_OWNERS, (MAX_OWNERS + 1,))]
    return found[:MAX_OWNERS], len(found[MAX_OWNERS:])


def _tables(status: JobStatus | None) -> tuple[str, ...]:
    if status is None:
        return _TABLES
    return ("finished",) if status.is_final else ("jobs",)


def _is_filtered(wanted: JobSearch) -> bool:
    return any((wanted.job_type, wanted.error_code, wanted.id_prefix, wanted.status))
