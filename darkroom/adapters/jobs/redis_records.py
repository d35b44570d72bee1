"""Builds the record of a job from the hash that the scripts store in Redis.

During an upgrade or after a rollback, the hash may be another version's. What is new in it is left out; what cannot be
understood makes the job unreadable, and only that job.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.made_records import made_of, presets_of
from darkroom.adapters.jobs.thin_records import written_out
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import Attempt, JobFailure, JobRecord, JobResult, JobStatus
from darkroom.contract.unreadable import UnreadableJob


def record_of(fields: dict[str, str] | list[str], job_id: UUID) -> JobRecord:
    """The record from a job's hash, which is a dictionary or the flat list that scripts return.

    Built without validation of what our scripts wrote from validated values. Raises JobUnreadableError.
    """
    f = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return _record(written_out(f, job_id), job_id)
    except KeyError as exc:
        raise unreadable(f, job_id, f"it has no {exc.args[0]}") from exc
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as exc:
        raise unreadable(f, job_id, str(exc).partition("\n")[0][:200]) from exc


def unreadable(fields: dict[str, str], job_id: UUID, reason: str) -> JobUnreadableError:
    owner, job_type = fields.get("owner", ""), fields.get("type", "")
    return JobUnreadableError(UnreadableJob(job_id=job_id, owner=owner, type=job_type, reason=reason))


def _record(f: dict[str, str], job_id: UUID) -> JobRecord:
    created_ms, started_ms, attempts = int(f["created"]), _optional_int(f.get("started")), int(f["attempts"])
    queued = {} if started_ms is None else {"queued": started_ms - created_ms}
    if f["type"] not in NAMES:
        raise ValueError(f"its type is {f['type'][:80]!r}")
    return JobRecord.model_construct(
        job_id=job_id,
        type=f["type"],
        status=_status(f["status"]),
        owner=f["owner"],
        parameters=_object(f["parameters"], "parameters"),
        storage_key=f["storage_key"],
        request_id=f["request_id"],
        cost_class=f.get("cost", "standard"),
        trace=f.get("trace", ""),
        webhooks=f.get("w", ""),
        attempts=attempts,
        emissions=int(f["emissions"]),
        confirmed=int(f.get("confirmed", 0)),
        in_lane="waits" in f,
        makes_room="room" in f,
        fence=int(f["fence"]),
        worker=f.get("worker"),
        redrives=int(f.get("redrives", 0)),
        restored_at=_optional_moment(f.get("restored")),
        history=_history(f, created_ms),
        created_at=_moment(created_ms),
        started_at=None if started_ms is None else _moment(started_ms),
        finished_at=_optional_moment(f.get("finished")),
        lease_until=_optional_moment(f.get("lease")),
        result=_result(f["result"]) if "result" in f else None,
        made=made_of(f, job_id, attempts=attempts),
        presets=presets_of(f["presets"]) if "presets" in f else {},
        error=_failure(f["error"], attempts) if "error" in f else None,
        timings_ms={**queued, **_object(f.get("timings", "{}"), "timings")},
    )


def _status(text: str) -> JobStatus:
    try:
        return JobStatus(text)
    except ValueError:
        raise ValueError(f"its status is {text[:80]!r}") from None


def _object(text: str, name: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"its {name} are no JSON object")
    return found


def _result(text: str) -> JobResult:
    """The result, without what a newer version knows of it besides."""
    found = _object(text, "result")
    return JobResult.model_validate({name: found[name] for name in JobResult.model_fields if name in found})


def _history(fields: dict[str, str], created_ms: int) -> tuple[Attempt, ...]:
    """The attempts that ended, and the one in progress."""
    attempts = []
    for entry in fields.get("history", "").split(";")[:-1]:
        fence, began_ms, ended_ms, code, worker, *_ = entry.split(",")
        attempts.append(
            Attempt.model_construct(
                fence=int(fence),
                worker=worker,
                started_at=_moment(created_ms + int(began_ms)),
                ended_at=_moment(created_ms + int(ended_ms)),
                code=code or None,
            )
        )
    if fields["status"] == JobStatus.PROCESSING and "claimed" in fields:
        started_at = _moment(int(fields["claimed"]))
        worker = fields.get("worker", "")
        attempts.append(
            Attempt.model_construct(
                fence=int(fields["fence"]), worker=worker, started_at=started_at, ended_at=None, code=None
            )
        )
    return tuple(attempts)


def _failure(text: str, attempts: int) -> JobFailure:
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("its error is no JSON array")
    code, message, *_ = found
    return JobFailure(code=code, message=message, attempts=attempts)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(int(text))


def _moment(since_epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(since_epoch_ms / 1000, tz=UTC)
