"""The job record: the guarantee that every accepted job ends as completed or failed, exactly once.

    (none) ──accept──▶ queued ──claim──▶ processing ──complete──▶ completed
                        ▲ ▲                │   │ fail (permanent, or attempts spent)
                        │ └────release─────┘   └─────────────────▶ failed
                        └──────────────── redrive (by a person) ──────┘

A job that is not final can be cancelled by its owner, which fails it; any job can be erased, after which there is none.

Every change is a compare-and-set on the store's own clock. A job that is not final has a deadline, and the sweep finds
jobs that are past theirs. A queued job whose lane has no room in the broker's window waits in the lane instead, until
`next_in_line` hands it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from darkroom.adapters.jobs.admission import JobName
from darkroom.adapters.jobs.condition import StoreCondition
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure
from darkroom.adapters.jobs.owed import OwedWebhooks
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch
from darkroom.contract.errors import DarkroomError
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus, rendition_names
from darkroom.contract.presets import PresetUse
from darkroom.contract.unreadable import UnreadableJob
from darkroom.telemetry.metric import Readings

LEASE_S = 10.0
RENEW_EVERY_S = 3.0
MAX_ATTEMPTS = 3
JOB_TIMEOUT_S = 30.0
HISTORY_KEPT = 8
"""Attempts that a record keeps: all that count, and the latest that a dependency's outage used up."""
FINAL_JOBS_KEPT_S = 7 * 24 * 3600
EMITTED_JOBS_DUE_AFTER_S = 60.0
"""How long an emitted job may wait for its claim before the sweep emits it again; doubled each time, up to an hour."""
UNEMITTED_JOBS_DUE_AFTER_S = 5.0
"""How long ingest has to report that the broker took the event, before the sweep emits it."""
MAX_EMISSIONS = 12
"""A job that has not ended after this many emissions is failed. With the doubling, that is about seven hours without a
dependency."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    job_id: UUID
    type: str
    """The name of a row in the table of job types."""
    owner: str
    parameters: dict[str, Any]
    storage_key: str
    request_id: str
    presets: Mapping[str, PresetUse] = field(default_factory=dict)
    """The presets that were asked for, by the rendition's name, which is empty for a job with one result."""
    cost_class: str = "standard"
    turn: float = 1.0
    """How much of its owner's turns in the lane it takes: its estimated cost divided by the owner's weight."""
    original_bytes: int = 0
    """Of the original that was stored for this job; 0 if it was in storage already."""
    trace: str = ""
    """The W3C `traceparent` of the request that submitted it."""
    idempotency_key: str | None = None
    fingerprint: str = ""
    """Digest of the request. Reusing an idempotency key with a different fingerprint is the caller's mistake."""
    webhooks: str = ""
    """The endpoints that are told of its end, as `contract.webhooks.subscriptions` writes them."""


@dataclass(frozen=True, kw_only=True)
class KeptJob:
    """A job as storage shows it, when the store has lost its record."""

    new: NewJob
    created_at: datetime
    result: JobResult | None = None
    """None: there is no result, so the job has not completed."""
    made: Mapping[str, JobResult] = field(default_factory=dict)
    """Of a job with several results, those that there are, by their names. It has completed if none is missing."""
    finished_at: datetime | None = None
    """When the last result was stored."""

    @property
    def is_complete(self) -> bool:
        names = rendition_names(self.new.parameters)
        return self.made.keys() >= set(names) if names else self.result is not None


class Restoration(StrEnum):
    """What became of a job that was to be restored."""

    COMPLETED = "completed"
    QUEUED = "queued"
    """It waits in its lane; the sweep hands it out. Its attempts are counted anew."""
    EXISTS = "exists"
    """It has a record, which stays as it is; or it was erased within the last day, and stays so."""
    EXPIRED = "expired"
    """Its record would have expired by now."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """The jobs that one Trigger delivers. At most `broker_window` of a lane's jobs are with the broker at a time."""

    type: str
    cost_class: str = "standard"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    record: JobRecord
    created: bool
    """False: the idempotency key already had this job, and nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to end a job. `fence` only grows; a change that carries an older one is refused."""

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
    """The other worker's lease. A caller that knows for certain that this worker is dead may release the job in its
    name. Thanks to the fence, that has no effect once the worker, or anyone else, has moved on."""
    lease_left_s: float
    attempt_s: float
    """How long ago the attempt began."""

    @property
    def worker(self) -> str:
        return self.lease.record.worker or ""


@dataclass(frozen=True, kw_only=True)
class AttemptsSpent:
    """No attempt was left; the claim has just failed the job."""

    record: JobRecord


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """There is no such job: it expired, or was never accepted."""


ClaimAnswer: TypeAlias = Lease | AlreadyFinal | Held | AttemptsSpent | Erased | Unknown
CancelAnswer: TypeAlias = Cancelled | AlreadyFinal | Unknown
EraseAnswer: TypeAlias = Erased | Unknown


class Outcome(StrEnum):
    """The result of a change that carries a fence."""

    DONE = "done"
    STALE = "stale"
    """Another worker has since claimed the job, or it is final. The refused caller must not act for it any more."""


class NextStep(StrEnum):
    EMIT = "emit"
    """Emit the record's event, whose id is `record.event_id()`, and call `emitted`. It is a new emission, unless
    nothing confirms that the broker got the current one. Then that one is sent again, and no emission is used up."""
    FAILED = "failed"
    """The job was given up: report it, store it with the dead letters, and then call `kept`."""
    WAIT = "wait"
    """It is queued again and waits in its lane; `next_in_line` hands it out."""
    NOTHING = "nothing"
    """It is final, held under a live lease, unknown, or queued for a later sweep."""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    step: NextStep
    record: JobRecord | None = None
    unreadable: UnreadableJob | None = None
    """Set with NOTHING, when the record is of another version: the job is left as it is, for one that can read it."""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    by_status: dict[JobStatus, int] = field(default_factory=dict)
    """Unfinished jobs only: queued and processing."""
    oldest_age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class JobCursor:
    """A position in an owner's list: after this job."""

    created_ms: int
    """Since the epoch, on the store's clock."""
    job_id: UUID


@dataclass(frozen=True, kw_only=True)
class JobPage:
    records: list[JobRecord | UnreadableJob] = field(default_factory=list)
    next: JobCursor | None = None
    """Where the list continues; None at its end. A page with fewer records than its limit is not always the last."""


class JobStore(Protocol):
    """Every method raises DependencyUnavailableError("jobs", ...) when the store cannot serve it. For a job whose
    record another version wrote, that is JobUnreadableError; such a job stops neither a list nor a sweep."""

    def admission(self, owner: str, names: Sequence[JobName]) -> None:
        """Return if there is room for the owner's requests of these names. One that has its job already needs none.

        Raises QuotaExceededError, and BacklogFullError also when the store's memory is nearly used up. Cheap, from
        numbers that may be a moment old: for asking before a picture is read or stored. `accept` decides.
        """

    def accept(self, job: NewJob) -> Accepted:
        """Write the job, its event (as emission 1) and its deadline, and bind the idempotency key, in one step.

        If the window of the job's lane is full, or others wait for it, the job waits too (`record.in_lane`): it has no
        deadline, and is not to be emitted before `next_in_line` hands it out.

        Raises IdempotencyMismatchError, also when `job_id` already exists under another owner or fingerprint.
        QuotaExceededError or BacklogFullError if the job is new and there is no room for it. DependencyUnavailableError
        means that nothing was accepted. InputNotFoundError means that the picture was erased with its job, or is about
        to be. The request has no effect once its caller has given up on it. If it was carried
        out but its answer was lost, it is undone as soon as the store answers again.
        """

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept several jobs, all or none. The answers are in the order of `jobs`.

        An IdempotencyMismatchError refuses them all and has an entry for each. If two share a key, the first is the
        job.
        """

    def emitted(self, job_id: UUID, emission: int) -> None:
        """Record that the broker has the event. Unless claimed, the job is due in EMITTED_JOBS_DUE_AFTER_S x
        2^(emission-1)."""

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        """Record several emissions; each is a job's id and the number of its emission."""

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        """Count the attempt, set the lease and the fence. A queued job, or one whose lease ran out, can be claimed.

        An attempt whose lease ran out is lost: it ended without reporting. The call that finds it, here or in recovery,
        sets its error: job.timeout if it had lasted JOB_TIMEOUT, else image.crashed.

        `token`, of letters and digits, names this claim; the default is random. The same claim made again finds its own
        lease while that is valid, and counts once. DependencyUnavailableError means that the caller has no lease and
        that the attempt does not count: the claim is withdrawn as soon as the store answers again.
        """

    def withdraw(self, job_id: UUID, token: str) -> None:
        """Withdraw a claim whose answer was lost; idempotent.

        Its attempt does not count, even if its lease has run out in the meantime. A copy of the claim that arrives
        later is refused with DependencyUnavailableError. Stores that can lose an answer call this themselves.
        """

    def renew(self, lease: Lease) -> Outcome: ...

    def rendered(self, lease: Lease, name: str, made: JobResult | DarkroomError) -> Outcome:
        """Record that a rendition is stored, or that it cannot be made. It stands whatever becomes of the attempt.

        A call repeated after its answer was lost changes nothing and returns DONE.
        """

    def complete(
        self, lease: Lease, result: JobResult | None, timings_ms: dict[str, int]
    ) -> tuple[Outcome, JobRecord | None]:
        """Complete the job; `result` is None where `rendered` recorded its results.

        Returns the record as it is now; None only when it is gone.

        If others wait and there is room for several in its lane, or for all (`record.makes_room`), call `next_in_line`.

        A call repeated after its answer was lost finds its own end and returns DONE. A call that raises
        DependencyUnavailableError may have been carried out: then the record is final under the lease's fence.
        """

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]: ...

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        """Return the job to the queue. With `counts` False the attempt is uncounted: the dependency failed, not the
        picture.

        The caller is done with the lease in any case: after DependencyUnavailableError the release is repeated until
        the store has answered it.
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
        """List the owner's jobs, newest first. New jobs do not shift the pages after a cursor."""

    def search(self, wanted: JobSearch, *, limit: int, after: JobCursor | None = None) -> FoundJobs:
        """Search the jobs of all keys, or of one, newest first: for operators. Each call costs a bounded number of
        reads; `next` says where to go on, also when the page is empty.
        """

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        """Recover a dead letter's job if nobody holds it: fail it if its attempts or emissions are spent, else emit it.

        The job fails with `error` unless its record has the error of its latest attempt; a job that nobody ever claimed
        has none. A job that was already emitted again is left to a later sweep. The wait grows each time, so that the
        job outlasts whatever is down.
        """

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        """Recover at most `limit` jobs that are past their deadline, the longest overdue first. The sweep calls this.

        Each job is handed to one sweeper only, however many run at once. Jobs that were given up and not yet kept (by a
        claim, or by a recovery that died) come first, as FAILED. An answer of `limit` jobs may not be the last: a job
        that now waits in its lane counts too, as WAIT.
        """

    def kept(self, job_id: UUID) -> None:
        """Record that the failed job is with the dead letters; idempotent. Until then the sweep hands it out as FAILED
        again."""

    def redrive(
        self,
        job_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        presets: Mapping[str, PresetUse] | None = None,
        remake: Sequence[str] = (),
    ) -> Recovered:
        """Queue a failed job again with all its attempts and emissions, and with new parameters if given.

        Its renditions that stand are kept, except those to `remake`; those that could not be made are missing again.
        `presets` are those that still hold with new parameters.

        Returns EMIT or WAIT if it was failed, else NOTHING, so that only one of two redrives has an effect. The job
        keeps its id and its history. A worker that claimed it before the redrive is refused.
        """

    def cancel(self, job_id: UUID, *, owner: str) -> CancelAnswer:
        """Fail an owner's job with `job.cancelled`, unless it is final. Its worker is refused.

        A result that the worker stores nevertheless is handed out by `due_erasures`. The job cannot be redriven. If
        others wait for the room that it leaves in its lane (`record.makes_room`), call `next_in_line`.
        """

    def erase(self, job_id: UUID, *, owner: str) -> EraseAnswer:
        """Hide an owner's job for good, and cancel it if it is not final, in one step: nothing is known of it from now
        on, and its idempotency key may be used again. What is elsewhere is handed out by `due_erasures`; once more
        whenever a worker or a dead letter comes upon the job afterwards, since a delivery leaves traces.

        A keyed tombstone stays for a day. Until then a repeated call answers Erased, to the same owner; a claim does so
        too; and `accept` refuses the id, and with InputNotFoundError the original.
        """

    def is_erased(self, job_id: UUID) -> bool:
        """Return whether the job was erased within the last day. Nothing may bring it back."""

    def due_erasures(self, *, limit: int) -> list[Erasure]:
        """Hand out at most `limit` erasures that are due, each to one sweep at a time. Erase all of it, and then call
        `erasure_done`; otherwise it is soon handed out again.

        Each is handed out twice: at once, and again after what was under way can have written something.
        """

    def erasure_done(self, erasure: Erasure) -> None:
        """Record that nothing is left; idempotent."""

    def owe_keeper(self, job_id: UUID, body: bytes) -> None:
        """Remember the keeper of a job that storage did not take, until `keeper_written`."""

    def owed_keepers(self, *, limit: int) -> dict[UUID, bytes]:
        """Return at most `limit` of the keepers that are owed to storage."""

    def keeper_written(self, job_id: UUID) -> None:
        """Record that the keeper is in storage, or is not needed any more; idempotent."""

    def without_record(self, job_ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the jobs that have no record and were not erased, and so may be restored."""

    def restore(self, jobs: Sequence[KeptJob]) -> list[Restoration]:
        """Write the records of jobs that have none, in one step, with their places in lists, lanes and quotas and their
        idempotency keys. Repeating it changes nothing, and no record, key or limit of newer jobs is touched.

        A completed job expires when it would have expired. The fences of a restored job are higher than all that it had
        before, and the ids of its events are new.
        """

    def next_in_line(self, lane: Lane | None = None, *, limit: int) -> list[JobRecord]:
        """Hand out at most `limit` jobs that wait in the lane, or in any lane, as far as the broker's window has room.

        They are taken from their owners in fair turns. Each is handed out once; emit it and call `emitted`. If that
        does not happen, the job is overdue in UNEMITTED_JOBS_DUE_AFTER_S, like one that was just accepted.
        """

    def unemitted(self, *, limit: int) -> list[JobRecord]:
        """Hand out overdue jobs whose current emission the broker is not known to have, to be sent again.

        Whoever finds that the broker is back calls it, so that nobody waits for the sweep.
        """

    @property
    def owed(self) -> OwedWebhooks:
        """The webhooks that are owed. Each end of a job writes them, in the step that ends it."""

    def backlog(self) -> Backlog: ...

    def statistics(self) -> Readings:
        """Every metric of the catalog whose source is the job record. Counts are updated in the same atomic step as the
        job. They never shrink, whatever is called twice or dies."""

    def condition(self, *, struck: int) -> StoreCondition:
        """Return how the store is doing, with at most `struck` of the unfinished jobs of which an attempt ended without
        reporting, newest first.
        """

    def check(self) -> None:
        """Return if the store answers and cannot lose jobs: its `maxmemory-policy` is `noeviction`."""


class JobReader(Protocol):
    """Reads jobs for an event loop on which thousands wait. Concurrent requests for one job share one read."""

    async def get(self, job_id: UUID) -> JobRecord | None:
        """The record as it is now, or was at some moment since the call began.

        Raises DependencyUnavailableError("jobs", ...).
        """

    async def close(self) -> None: ...


class JobWatch(Protocol):
    async def changed(self, *, timeout_s: float) -> bool:
        """Wait for a change. True if the job may have changed since the watch began or since the last call; False on
        timeout."""


class JobNotices(Protocol):
    """Notifies a waiting client of a job's changes. For event loops; everything else about jobs is synchronous."""

    def watch(self, job_id: UUID) -> AbstractAsyncContextManager[JobWatch]:
        """Begin the watch, then read the record, then wait: in this order no change is missed.

        async with notices.watch(job_id) as watch:
            while not (record := ...get(job_id)).status.is_final and await watch.changed(timeout_s=left_s):
                ...
        """

    async def close(self) -> None: ...
