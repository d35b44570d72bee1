"""Lists and numbers of two stores as those of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, cast
from uuid import UUID

from darkroom.adapters.jobs import Backlog, JobCursor, JobPage
from darkroom.adapters.jobs.admission import BacklogLoad
from darkroom.adapters.jobs.condition import StoreCondition
from darkroom.adapters.jobs.searching import FoundJobs
from darkroom.contract import metrics
from darkroom.contract.jobs import JobRecord
from darkroom.contract.unreadable import UnreadableJob
from darkroom.telemetry.metric import Distribution, Metric, Readings, Values

_NOT_ADDED = {
    metrics.JOBS_OLDEST_UNFINISHED_AGE,
    metrics.LANE_OLDEST_WAIT,
    metrics.WEBHOOKS_OLDEST_OWED_AGE,
    metrics.BROKER_WINDOW,
}
"""Of these the larger one counts."""
Number: TypeAlias = float | Distribution
Place: TypeAlias = tuple[int, str]
"""In a list: when the job was accepted, and its id."""
_BEGINNING: Place = (2**62, "")


def merge_pages(first: JobPage, second: JobPage, *, limit: int) -> JobPage:
    """Return one page, newest first, of two stores' pages after the same cursor."""
    # A job that was moved between the two reads is on both.
    found = {record.job_id: (place, record) for page in (second, first) for place, record in _placed(page)}
    # Beyond the nearer end of a page that is not the last, that store may have more.
    horizon = max((_place(page.next) for page in (first, second) if page.next is not None), default=None)
    ordered = sorted(found.values(), key=lambda each: each[0], reverse=True)
    shown = [each for each in ordered if horizon is None or each[0] >= horizon]
    records = [record for _, record in shown[:limit]]
    if len(shown) > limit:
        return JobPage(records=records, next=_cursor(shown[limit - 1][0]))
    return JobPage(records=records, next=None if horizon is None else _cursor(horizon))


def merge_found(first: FoundJobs, second: FoundJobs, *, limit: int) -> FoundJobs:
    """Return what one search found in two stores, after the same cursor."""
    first_page, second_page = (JobPage(records=list(found.records), next=found.next) for found in (first, second))
    page = merge_pages(first_page, second_page, limit=limit)
    return FoundJobs(
        records=page.records,
        next=page.next,
        looked_at=first.looked_at + second.looked_at,
        owners_left_out=max(first.owners_left_out, second.owners_left_out),
    )


def merge_conditions(new: StoreCondition, old: StoreCondition, *, struck: int) -> StoreCondition:
    """Return the condition of both. The memory is the old store's, whose limit is the nearer one."""
    by_id = {record.job_id: record for record in (*old.struck, *new.struck)}
    newest_first = sorted(by_id.values(), key=lambda record: record.created_at, reverse=True)
    return StoreCondition(
        used_bytes=old.used_bytes,
        max_bytes=old.max_bytes,
        load=BacklogLoad(
            unfinished=new.load.unfinished + old.load.unfinished,
            ended=new.load.ended + old.load.ended,
            within_s=max(new.load.within_s, old.load.within_s),
            oldest_age_s=max(new.load.oldest_age_s, old.load.oldest_age_s),
        ),
        struck=newest_first[:struck],
    )


def _placed(page: JobPage) -> Iterator[tuple[Place, JobRecord | UnreadableJob]]:
    """Records with their places. One that cannot be read stands beside the one before it."""
    place = _BEGINNING
    for record in page.records:
        if isinstance(record, JobRecord):
            place = round(record.created_at.timestamp() * 1000), str(record.job_id)
        yield place, record


def merge_backlogs(first: Backlog, second: Backlog) -> Backlog:
    statuses = first.by_status.keys() | second.by_status.keys()
    return Backlog(
        by_status={status: first.by_status.get(status, 0) + second.by_status.get(status, 0) for status in statuses},
        oldest_age_s=max(first.oldest_age_s, second.oldest_age_s),
    )


def merge_readings(first: Readings, second: Readings) -> Readings:
    return {metric: _merged(metric, first.get(metric, {}), second.get(metric, {})) for metric in {**first, **second}}


def _merged(metric: Metric, first: Values, second: Values) -> Values:
    combine: Callable[[Number, Number], Number] = _larger if metric in _NOT_ADDED else _sum
    merged = dict(first)
    for labels, value in second.items():
        merged[labels] = combine(merged[labels], value) if labels in merged else value
    return merged


def _larger(one: Number, other: Number) -> Number:
    return max(cast(float, one), cast(float, other))


def _sum(one: Number, other: Number) -> Number:
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
        return Distribution(counts=counts, sum=one.sum + other.sum)
    return cast(float, one) + cast(float, other)


def _place(cursor: JobCursor) -> Place:
    return cursor.created_ms, str(cursor.job_id)


def _cursor(place: Place) -> JobCursor:
    return JobCursor(created_ms=place[0], job_id=UUID(place[1]))
