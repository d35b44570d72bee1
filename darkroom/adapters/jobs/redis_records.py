"""The record of a job, from the hash that the scripts keep in Redis."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

from darkroom.contract.jobs import Attempt, JobFailure, JobRecord, JobResult, JobStatus


def record_of(fields: dict[str, str] | list[str], job_id: UUID) -> JobRecord:
    """The record of a job's hash, as a dictionary or as the flat list that scripts answer with.

    Built without validation: only our scripts write the hash, and they write it from validated values.
    """
    f = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    created_ms, started_ms, attempts = int(f["created"]), _optional_int(f.get("started")), int(f["attempts"])
    queued = {} if started_ms is None else {"queued": started_ms - created_ms}
    return JobRecord.model_construct(
        job_id=job_id,
        type=f["type"],
        status=JobStatus(f["status"]),
        owner=f["owner"],
        parameters=json.loads(f["parameters"]),
        storage_key=f["storage_key"],
        request_id=f["request_id"],
        cost_class=f.get("cost", "standard"),
        trace=f.get("trace", ""),
        attempts=attempts,
        emissions=int(f["emissions"]),
        fence=int(f["fence"]),
        worker=f.get("worker"),
        redrives=int(f.get("redrives", 0)),
        history=_history(f, created_ms),
        created_at=_moment(created_ms),
        started_at=None if started_ms is None else _moment(started_ms),
        finished_at=_optional_moment(f.get("finished")),
        lease_until=_optional_moment(f.get("lease")),
        result=JobResult.model_validate_json(f["result"]) if "result" in f else None,
        error=_failure(f["error"], attempts) if "error" in f else None,
        timings_ms={**queued, **json.loads(f.get("timings", "{}"))},
    )


def _history(fields: dict[str, str], created_ms: int) -> tuple[Attempt, ...]:
    """The attempts that ended, and the one that is under way."""
    attempts = []
    for entry in fields.get("history", "").split(";")[:-1]:
        fence, began_ms, ended_ms, code, worker = entry.split(",")
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
    code, message = json.loads(text)
    return JobFailure(code=code, message=message, attempts=attempts)


def _optional_int(text: str | None) -> int | None:
    return None if text is None else int(text)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(int(text))


def _moment(since_epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(since_epoch_ms / 1000, tz=UTC)
