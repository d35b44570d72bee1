"""The list of jobs: one page of a search, in bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from darkroom.adapters.jobs import JobCursor, JobStore
from darkroom.adapters.jobs.searching import JobSearch
from darkroom.console.shell import Shell
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import JobRecord, from_milliseconds
from darkroom.contract.unreadable import UnreadableJob
from darkroom.job_console.job_query import STATUSES, JobQuery, cursor_text, query_of
from darkroom.serving.resources import Resources

PAGE = 50
BUDGET_S = 0.08
"""How long one page looks for more, before it offers to go on."""
_WHOLE_ID = 36


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What one page found."""

    records: Sequence[JobRecord | UnreadableJob]
    next: JobCursor | None
    looked_at: int
    owners_left_out: int

    @property
    def back_to(self) -> datetime | None:
        return None if self.next is None else from_milliseconds(self.next.created_ms)


_NOTHING = Walk(records=(), next=None, looked_at=0, owners_left_out=0)


def walk(
    jobs: JobStore,
    wanted: JobSearch,
    *,
    after: JobCursor | None,
    limit: int = PAGE,
    clock: Callable[[], float] = time.monotonic,
) -> Walk:
    """Search until the page is full, everything was looked at, or the time is up."""
    if len(wanted.id_prefix) == _WHOLE_ID:
        return _only(jobs, wanted)
    ends_at = clock() + BUDGET_S
    records: list[JobRecord | UnreadableJob] = []
    looked_at = 0
    while True:
        found = jobs.search(wanted, limit=limit - len(records), after=after)
        records += found.records
        looked_at += found.looked_at
        after = found.next
        if after is None or len(records) >= limit or clock() >= ends_at:
            return Walk(records=records, next=after, looked_at=looked_at, owners_left_out=found.owners_left_out)


def _only(jobs: JobStore, wanted: JobSearch) -> Walk:
    """Find the job of a whole id, which needs no walk."""
    found: list[JobRecord | UnreadableJob] = []
    try:
        record = jobs.get(UUID(wanted.id_prefix))
        found = [record] if record is not None and wanted.matches(record) else []
    except JobUnreadableError as exc:
        found = [exc.job]
    return Walk(records=found, next=None, looked_at=1, owners_left_out=0)


class JobListPage:
    def __init__(self, shell: Shell, resources: Resources) -> None:
        self._shell = shell
        self._resources = resources

    async def show(self, request: Request) -> Response:
        query = query_of(request.query_params)
        found = _NOTHING
        if not query.mistakes:
            found = await asyncio.to_thread(walk, self._resources.jobs, query.wanted, after=query.after)
        return self._shell.page(
            request,
            "jobs/list.html",
            title="Jobs",
            found=found,
            query=query,
            statuses=STATUSES,
            types=NAMES,
            is_readable=lambda record: isinstance(record, JobRecord),
            older_link="" if found.next is None else _link(query, found.next),
        )


def _link(query: JobQuery, after: JobCursor) -> str:
    given = {name: value for name, value in query.values.items() if value}
    return f"?{urlencode({**given, 'after': cursor_text(after)})}"
