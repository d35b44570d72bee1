"""One job of the in-memory store, and the record made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from darkroom.adapters.jobs import (
    HISTORY_KEPT,
    KeptJob,
    NewJob,
)
from darkroom.contract.errors import DarkroomError, JobCancelledError
from darkroom.contract.jobs import Attempt, JobFailure, JobRecord, JobResult, JobStatus, Made

FENCES_SKIPPED = 1000
"""By a restored job, besides one per millisecond of its age."""


@dataclass
class MemoryJob:
    new: NewJob
    created_s: float
    due_s: float
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    emissions: int = 1
    confirmed: int = 0
    """The last emission that the broker is known to have received."""
    in_lane: bool = False
    """It waits for room in the broker's window."""
    fence: int = 0
    released: int | None = None
    """The fence of the last lease that was released."""
    worker: str | None = None
    lease_s: float | None = None
    started_s: float | None = None
    finished_s: float | None = None
    result: JobResult | None = None
    made: dict[str, JobResult | DarkroomError] = field(default_factory=dict)
    """How renditions ended, by their names."""
    error: DarkroomError | None = None
    timings_ms: dict[str, int] = field(default_factory=dict)
    claimed_s: float = 0.0
    """When the latest attempt began."""
    token: str | None = None
    """The token of the latest claim."""
    withdrawn: list[str] = field(default_factory=list)
    """The tokens of the latest claims that were withdrawn."""
    unheard: dict[str, int] = field(default_factory=dict)
    """The latest claims whose lease ran out: token and fence."""
    timeout_s: float = 0.0
    """JOB_TIMEOUT of the worker that claimed it."""
    history: list[Attempt] = field(default_factory=list)
    redrives: int = 0
    redriven: int = 0
    """The number of emissions before the latest redrive."""
    restored_s: float | None = None
    """When it was restored from storage."""
    hand_out_s: float | None = None
    """When a failed job that is not yet with the dead letters is handed out again."""

    @property
    def is_cancelled(self) -> bool:
        return self.status is JobStatus.FAILED and isinstance(self.error, JobCancelledError)

    def is_held(self, now_s: float) -> bool:
        return self.status is JobStatus.PROCESSING and self.lease_s is not None and self.lease_s > now_s

    def is_expired(self, now_s: float, final_kept_s: float | None) -> bool:
        return final_kept_s is not None and self.finished_s is not None and self.finished_s + final_kept_s <= now_s

    def is_holder(self, fence: int) -> bool:
        return not self.status.is_final and self.fence == fence and self.released != fence

    def record_end(self, ended_s: float, code: str | None) -> None:
        self.remove_end()
        ended = self._attempt().model_copy(update={"ended_at": moment(ended_s), "code": code})
        self.history = [*self.history, ended][-HISTORY_KEPT:]

    def remove_end(self) -> bool:
        """Remove the recorded end of the current attempt, so that a resumed attempt has one entry. False: it had
        none."""
        if self.history and self.history[-1].fence == self.fence:
            self.history.pop()
            return True
        return False

    def uncount_attempt(self, fence: int, error: DarkroomError) -> None:
        """Uncount an attempt that was never made: its worker did not know that it held the job."""
        self.attempts -= 1
        self.history = [
            attempt.model_copy(update={"code": error.code}) if attempt.fence == fence else attempt
            for attempt in self.history
        ]
        if self.fence == fence:
            self.error = error

    def _attempt(self) -> Attempt:
        return Attempt(fence=self.fence, worker=self.worker or "", started_at=moment(self.claimed_s))

    def record(self) -> JobRecord:
        queued = {} if self.started_s is None else {"queued": round((self.started_s - self.created_s) * 1000)}
        return JobRecord(
            job_id=self.new.job_id,
            type=self.new.type,
            status=self.status,
            owner=self.new.owner,
            parameters=self.new.parameters,
            storage_key=self.new.storage_key,
            request_id=self.new.request_id,
            cost_class=self.new.cost_class,
            trace=self.new.trace,
            webhooks=self.new.webhooks,
            attempts=self.attempts,
            emissions=self.emissions,
            confirmed=self.confirmed,
            in_lane=self.in_lane,
            fence=self.fence,
            worker=self.worker,
            redrives=self.redrives,
            restored_at=None if self.restored_s is None else moment(self.restored_s),
            history=(*self.history, *([self._attempt()] if self.status is JobStatus.PROCESSING else [])),
            created_at=moment(self.created_s),
            started_at=None if self.started_s is None else moment(self.started_s),
            finished_at=None if self.finished_s is None else moment(self.finished_s),
            lease_until=None if self.lease_s is None else moment(self.lease_s),
            result=self.result,
            made={name: self._made(made) for name, made in self.made.items()},
            presets=dict(self.new.presets),
            error=self._failure(),
            timings_ms={**queued, **self.timings_ms},
        )

    def stands(self, name: str) -> bool:
        """Return whether the rendition was made."""
        return isinstance(self.made.get(name), JobResult)

    def _made(self, made: JobResult | DarkroomError) -> Made:
        if isinstance(made, JobResult):
            return made
        return JobFailure(code=made.code, message=made.detail, attempts=self.attempts)

    def _failure(self) -> JobFailure | None:
        if self.error is None:
            return None
        return JobFailure(code=self.error.code, message=self.error.detail, attempts=self.attempts)


def restored_job(kept: KeptJob, now_s: float) -> MemoryJob:
    """Make the job that storage shows. Its fence is higher than any that it had, since it grows by one at a time."""
    created_s = kept.created_at.timestamp()
    job = MemoryJob(new=kept.new, created_s=created_s, due_s=now_s, restored_s=now_s)
    job.fence = milliseconds(max(now_s - created_s, 0)) + FENCES_SKIPPED
    job.made = dict(kept.made)
    if kept.is_complete:
        job.status, job.result, job.attempts = JobStatus.COMPLETED, kept.result, 1
        job.finished_s = now_s if kept.finished_at is None else kept.finished_at.timestamp()
    return job


def milliseconds(since_epoch_s: float) -> int:
    return round(since_epoch_s * 1000)


def moment(since_epoch_s: float) -> datetime:
    """The time in whole milliseconds, as Redis stores it."""
    return datetime.fromtimestamp(milliseconds(since_epoch_s) / 1000, tz=UTC)
