"""The job record: the guarantee that every accepted job ends as completed or failed, exactly once.

    (none) ──accept──▶ queued ──claim──▶ processing ──complete──▶ completed
                        ▲ ▲                │   │ fail (permanent, or attempts spent)
                        │ └────release─────┘   └─────────────────▶ failed
                        └──────────────── redrive (by a person) ──────┘

Every change is a compare-and-set on the store's own clock. A job that is not final has a deadline, and the sweep finds
those that passed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from darkroom.contract.errors import DarkroomError
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.telemetry.metric import Readings

LEASE_S = 10.0
RENEW_EVERY_S = 3.0
MAX_ATTEMPTS = 3
JOB_TIMEOUT_S = 30.0
HISTORY_KEPT = 8
"""Attempts that a record remembers: all that count, and what a dependency that was down has used up lately."""
FINAL_JOBS_KEPT_S = 7 * 24 * 3600
EMITTED_JOBS_DUE_AFTER_S = 60.0
"""How long an emitted job may wait for its claim before the sweep emits it again; doubled each time, up to an hour."""
UNEMITTED_JOBS_DUE_AFTER_S = 5.0
"""How long ingest has to tell that the broker took the event before the sweep emits it."""
MAX_EMISSIONS = 12
"""Past this many emissions without an end a job is failed: with the doubling, some seven hours without a dependency."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    job_id: UUID
    type: str
    """The name of a row in the table of job types."""
    owner: str
    parameters: dict[str, Any]
    storage_key: str
    request_id: str
    cost_class: str = "standard"
    trace: str = ""
    """The W3C `traceparent` that it was submitted under."""
    idempotency_key: str | None = None
    fingerprint: str = ""
    """Digest of the request; the same idempotency key with another one is a mistake of the caller."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    record: JobRecord
    created: bool
    """False: the idempotency key had this job already, and nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to end a job. `fence` only grows; what bears an older one is refused."""

    job_id: UUID
    fence: int
    record: JobRecord


@dataclass(frozen=True, kw_only=True)
class AlreadyFinal:
    """A duplicate delivery: the job has ended."""

    record: JobRecord


@dataclass(frozen=True, kw_only=True)
class Held:
    """Another worker has the job under a live lease."""

    lease: Lease
    """That worker's. Whoever knows for certain that it is dead may give the job back in its name: the fence sees to it
    that this is without effect once the worker, or anybody else, has moved on."""
    lease_left_s: float
    attempt_s: float
    """How long ago the attempt began."""

    @property
    def worker(self) -> str:
        return self.lease.record.worker or ""


@dataclass(frozen=True, kw_only=True)
class AttemptsSpent:
    """The last attempt was used up before; the claim has just failed the job."""

    record: JobRecord


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """No such job: it expired, or was never accepted."""


ClaimAnswer: TypeAlias = Lease | AlreadyFinal | Held | AttemptsSpent | Unknown


class Outcome(StrEnum):
    """What became of a change that bears a fence."""

    DONE = "done"
    STALE = "stale"
    """Another worker has claimed the job since, or it is final: whoever was refused must not act for it any more."""


class NextStep(StrEnum):
    EMIT = "emit"
    """Emit the record's event, whose id is `record.event_id()`, and call `emitted`. It is a new emission, unless nobody
    ever told that the broker had the present one: then that one is sent again, and no emission is used up."""
    FAILED = "failed"
    """The job was given up: tell of it, keep it with the dead letters, and then call `kept`."""
    NOTHING = "nothing"
    """It is final, held under a live lease, unknown, or queued for a later sweep."""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    step: NextStep
    record: JobRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    by_status: dict[JobStatus, int] = field(default_factory=dict)
    """Unfinished jobs only: queued and processing."""
    oldest_age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class JobCursor:
    """A place in an owner's list: behind this job."""

    created_ms: int
    """Since the epoch, on the store's clock."""
    job_id: UUID


@dataclass(frozen=True, kw_only=True)
class JobPage:
    records: list[JobRecord] = field(default_factory=list)
    next: JobCursor | None = None
    """Where the list goes on; None: this was its end. A page may be short of its limit, yet not the last."""


class JobStore(Protocol):
    """Every method raises DependencyUnavailableError("jobs", ...) when the store does not do its part."""

    def accept(self, job: NewJob) -> Accepted:
        """Write the job, its event (as emission 1) and its deadline, and bind the idempotency key, in one step.

        Raises IdempotencyMismatchError; also when `job_id` exists already under another owner or fingerprint.
        DependencyUnavailableError means that nothing was accepted: the request is void once its caller has given up on
        it, and what was written though the answer got lost is taken back as soon as the store answers again.
        """

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """The same for several, all of them or none; each one's answer in their order.

        An IdempotencyMismatchError refuses all, and has a verdict on each. Of two with one key, the first is the job.
        """

    def emitted(self, job_id: UUID, emission: int) -> None:
        """The broker has it. Unless claimed, the job is due EMITTED_JOBS_DUE_AFTER_S x 2^(emission-1) from now."""

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        """The same of several; each is a job's id and the number of its emission."""

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        """Count the attempt, set the lease and the fence. A queued job, or one whose lease ran out, can be claimed.

        An attempt whose lease ran out has ended without a word. Whoever finds it so, here or in recovery, gives it its
        error: job.timeout when it had lasted JOB_TIMEOUT, else image.crashed.

        `token`, of letters and digits, names this claim; without one it gets a random one. The same claim made again
        finds its own lease while that lives, and counts once. DependencyUnavailableError means that the caller has no
        lease and that the attempt does not count: the claim is withdrawn as soon as the store answers again.
        """

    def withdraw(self, job_id: UUID, token: str) -> None:
        """Take back a claim whose answer never came; idempotent.

        Its attempt does not count, also when its lease has run out meanwhile. A copy of the claim that comes later is
        refused with DependencyUnavailableError. Stores that can lose an answer call this themselves.
        """

    def renew(self, lease: Lease) -> Outcome: ...

    def complete(self, lease: Lease, result: JobResult, timings_ms: dict[str, int]) -> tuple[Outcome, JobRecord | None]:
        """The record as it is now; None only when it is gone.

        Made again after its answer was lost, an end finds itself and is done. An end that raises
        DependencyUnavailableError may have been carried out: then the record is final under the lease's fence.
        """

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]: ...

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        """Give the job back, queued. `counts` False takes the attempt back: the dependency failed, not the picture.

        The caller is done with the lease, whatever comes: after DependencyUnavailableError the release is repeated
        until the store has answered it.
        """

    def get(self, job_id: UUID) -> JobRecord | None: ...

    def list_jobs(
        self,
        owner: str,
        *,
        status: JobStatus | None = None,
        job_type: str | None = None,
        limit: int = 20,
        after: JobCursor | None = None,
    ) -> JobPage:
        """The owner's jobs, newest first. New jobs do not shift the pages that follow a cursor."""

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        """For a dead letter nobody holds: fail the job when its attempts or emissions are spent, else emit it again.

        `error` is what the job fails with, unless its record has an error of its own latest attempt: that of a job that
        nobody ever claimed. A job that was emitted again before is left to a later sweep, later each time, so that it
        outlasts whatever is down.
        """

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        """For the sweep: the same for at most `limit` jobs that are past their deadline, the longest overdue first.

        Each is handed to one sweeper only, however many run at once. Jobs that were given up and not kept since (by a
        claim, or by a recovery that died) come first, as FAILED.
        """

    def kept(self, job_id: UUID) -> None:
        """The failed job is with the dead letters; idempotent. Until then the sweep hands it out as FAILED again."""

    def redrive(self, job_id: UUID, *, parameters: dict[str, Any] | None = None) -> Recovered:
        """Queue a failed job again with its attempts and emissions unspent, and other parameters where given.

        EMIT when it was failed; NOTHING when it was not, so that of two redrives one does anything. It keeps its id and
        its history. A worker of the time before is refused.
        """

    def backlog(self) -> Backlog: ...

    def statistics(self) -> Readings:
        """Every metric of the catalog whose source is the job record. Counted with each change of a job, in one step
        with it; counts never shrink, whatever is called twice or dies."""

    def check(self) -> None:
        """Returns if the store answers and can be relied on: `maxmemory-policy` is `noeviction`."""


class JobReader(Protocol):
    """Reads jobs for an event loop on which thousands wait: what many ask for at once is asked of the store once."""

    async def get(self, job_id: UUID) -> JobRecord | None:
        """As it is now, or was at some moment since the call began. Raises DependencyUnavailableError("jobs", ...)."""

    async def close(self) -> None: ...


class JobWatch(Protocol):
    async def changed(self, *, timeout_s: float) -> bool:
        """True when the job may have changed since the watch began, or since the last call; False when time is up."""


class JobNotices(Protocol):
    """Tells a waiting client of a job's changes. For event loops; everything else about jobs is synchronous."""

    def watch(self, job_id: UUID) -> AbstractAsyncContextManager[JobWatch]:
        """Begin the watch, then read the record, then wait: no change falls between the two.

        async with notices.watch(job_id) as watch:
            while not (record := ...get(job_id)).status.is_final and await watch.changed(timeout_s=left_s):
                ...
        """

    async def close(self) -> None: ...
