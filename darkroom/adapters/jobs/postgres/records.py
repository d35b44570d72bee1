"""Builds the record of a job from its row, as PostgreSQL's to_jsonb writes it.

During an upgrade the row may be a newer version's: what is new in it is left out, and what cannot be understood makes
the job unreadable, and only that job.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.made_records import made_from, presets_from
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import Attempt, JobFailure, JobRecord, JobResult, JobStatus, Made
from darkroom.contract.unreadable import UnreadableJob

Row = dict[str, Any]


def record_of(row: Row, *, makes_room: bool = False) -> JobRecord:
    """Built without validation of what was written from validated values. Raises JobUnreadableError."""
    try:
        return _record(row, makes_room=makes_room)
    except KeyError as exc:
        raise unreadable(row, f"it has no {exc.args[0]}") from exc
    except (ValueError, TypeError, OverflowError) as exc:
        raise unreadable(row, str(exc).partition("\n")[0][:200]) from exc


def record_or_unreadable(row: Row) -> JobRecord | UnreadableJob:
    try:
        return record_of(row)
    except JobUnreadableError as exc:
        return exc.job


def unreadable(row: Row, reason: str) -> JobUnreadableError:
    return JobUnreadableError(
        UnreadableJob(job_id=UUID(row["id"]), owner=row.get("owner", ""), type=row.get("type", ""), reason=reason)
    )


def _record(row: Row, *, makes_room: bool) -> JobRecord:
    created, started = _moment(row["created"]), _optional_moment(row["started"])
    queued = {} if started is None else {"queued": _milliseconds(started - created)}
    if row["type"] not in NAMES:
        raise ValueError(f"its type is {row['type'][:80]!r}")
    parameters = _object(json.loads(row["parameters"]), "parameters")
    return JobRecord.model_construct(
        job_id=UUID(row["id"]),
        type=row["type"],
        status=_status(row["status"]),
        owner=row["owner"],
        parameters=parameters,
        storage_key=row["storage_key"],
        request_id=row["request_id"],
        cost_class=row["cost"],
        trace=row["trace"],
        attempts=row["attempts"],
        emissions=row["emissions"],
        confirmed=row["confirmed"],
        in_lane=row["waits"],
        makes_room=makes_room,
        fence=row["fence"],
        worker=row["worker"],
        redrives=row["redrives"],
        webhooks=row["webhooks"],
        restored_at=_optional_moment(row["restored"]),
        history=_history(row, created),
        created_at=created,
        started_at=started,
        finished_at=_optional_moment(row["finished"]),
        lease_until=_optional_moment(row["lease"]),
        result=None if row["result"] is None else _result(row["result"]),
        made=_made(row, parameters),
        presets=presets_from(row["presets"]),
        error=None if row["error"] is None else _failure(row["error"], row["attempts"]),
        timings_ms={**queued, **_object(row["timings"] or {}, "timings")},
    )


def _status(text: str) -> JobStatus:
    try:
        return JobStatus(text)
    except ValueError:
        raise ValueError(f"its status is {text[:80]!r}") from None


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"its {name} are no JSON object")
    return value


def _result(value: Any) -> JobResult:
    """The result, without what a newer version knows of it besides."""
    found = _object(value, "result")
    return JobResult.model_validate({name: found[name] for name in JobResult.model_fields if name in found})


def _made(row: Row, parameters: dict[str, Any]) -> dict[str, Made]:
    """How renditions ended, in the order in which they were asked for. PostgreSQL orders the names otherwise."""
    found, job_id = _object(row["made"], "renditions"), UUID(row["id"])
    asked = [name for name in parameters.get("renditions", ()) if name in found]
    names = dict.fromkeys((*asked, *found))
    return {name: made_from(found[name], job_id, name, attempts=row["attempts"]) for name in names}


def _failure(value: Any, attempts: int) -> JobFailure:
    if not isinstance(value, list):
        raise ValueError("its error is no JSON array")
    code, message, *_ = value
    return JobFailure(code=code, message=message, attempts=attempts)


def _history(row: Row, created: datetime) -> tuple[Attempt, ...]:
    """The attempts that ended, and the one in progress."""
    attempts = []
    for fence, began_ms, ended_ms, code, worker, *_ in row["history"]:
        attempts.append(
            Attempt.model_construct(
                fence=fence,
                worker=worker,
                started_at=created + timedelta(milliseconds=began_ms),
                ended_at=created + timedelta(milliseconds=ended_ms),
                code=code or None,
            )
        )
    if row["status"] == JobStatus.PROCESSING and row["claimed"] is not None:
        began = _moment(row["claimed"])
        attempts.append(
            Attempt.model_construct(
                fence=row["fence"], worker=row["worker"] or "", started_at=began, ended_at=None, code=None
            )
        )
    return tuple(attempts)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
