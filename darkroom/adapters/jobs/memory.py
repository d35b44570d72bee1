"""The job record in memory, for tests: what the Lua scripts do, in Python, on a clock that the test may advance.

It passes the same contract suite as Redis. Nothing outlives the process, and final jobs do not expire.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import (
    HISTORY_KEPT,
    JOB_TIMEOUT_S,
    MAX_ATTEMPTS,
    MAX_EMISSIONS,
    RENEW_EVERY_S,
    Accepted,
    AlreadyFinal,
    AttemptsSpent,
    Backlog,
    CancelAnswer,
    ClaimAnswer,
    EraseAnswer,
    Held,
    JobCursor,
    JobPage,
    KeptJob,
    Lane,
    Lease,
    NewJob,
    NextStep,
    Outcome,
    Recovered,
    Restoration,
    Unknown,
)
from darkroom.adapters.jobs.admission import (
    NO_LOAD,
    BacklogFacts,
    BacklogLimits,
    BacklogLoad,
    JobName,
    MemoryDrain,
    over_limits,
    over_memory,
)
from darkroom.adapters.jobs.attempt_errors import (
    crash_error,
    late_claim_error,
    lost_attempt_error,
    unanswered_claim_error,
)
from darkroom.adapters.jobs.condition import StoreCondition, was_struck
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure, cancelled_error
from darkroom.adapters.jobs.memory_erasing import MemoryErasures, free_original
from darkroom.adapters.jobs.memory_job import MemoryJob, milliseconds, restored_job
from darkroom.adapters.jobs.memory_lanes import MemoryLanes
from darkroom.adapters.jobs.memory_owed import MemoryOwedWebhooks
from darkroom.adapters.jobs.memory_searching import search_records
from darkroom.adapters.jobs.mismatches import idempotency_mismatch
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch
from darkroom.adapters.jobs.statistics import job_readings, job_tally, limit_of, result_format
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract import metrics
from darkroom.contract.errors import DarkroomError, InputNotFoundError, client_fault_codes
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.contract.metrics import OBJECTIVE_WITHIN_S
from darkroom.contract.presets import PresetUse
from darkroom.telemetry.metric import Readings

ChangeListener = Callable[[UUID, JobStatus], None]


class MemoryJobStore:
    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        max_attempts: int = MAX_ATTEMPTS,
        max_emissions: int = MAX_EMISSIONS,
        job_timeout_s: float = JOB_TIMEOUT_S,
        times: JobTimes | None = None,
        broker_window: int | None = None,
        limits: BacklogLimits | None = None,
    ) -> None:
        """`clock` returns seconds since the epoch."""
        self.used_bytes, self.max_bytes = 0, 0
        """The memory that the store seems to have, for tests of what happens when it is full."""
        self._limits = limits or BacklogLimits()
        self._drain = MemoryDrain()
        self._clock = clock
        self._max_attempts = max_attempts
        self._max_emissions = max_emissions
        self._job_timeout_s = job_timeout_s
        self._times = times or JobTimes()
        self._lanes = MemoryLanes(broker_window)
        self._erasures = MemoryErasures(self._times)
        self._lock = threading.RLock()
        self._jobs: dict[UUID, MemoryJob] = {}
        self._bindings: dict[tuple[str, str], UUID] = {}
        self._keepers_owed: dict[UUID, bytes] = {}
        self._listeners: list[ChangeListener] = []
        self._tally = job_tally()
        self.owed = MemoryOwedWebhooks(clock, self._tally, self._times.keep_within_s, self._lock)

    def on_change(self, listener: ChangeListener) -> None:
        """Register a listener. It is called for every change of a status, in the thread that made the change."""
        self._listeners.append(listener)

    def admission(self, owner: str, names: Sequence[JobName]) -> None:
        with self._lock:
            new = sum(not self._is_known(owner, name) for name in names)
            if not new:
                return
            facts = self._facts(owner)
            refused = over_limits(facts, self._limits, new) or over_memory(self.used_bytes, self.max_bytes)
            if refused is not None:
                self._tally.count(metrics.JOBS_REFUSED, limit_of(refused), by=new)
                raise refused

    def accept(self, job: NewJob) -> Accepted:
        return self.accept_many([job])[0]

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        with self._lock:
            if refused := self._mismatches(jobs):
                raise idempotency_mismatch(refused, of=len(jobs))
            for job in jobs:
                if not self._has(job) and self._is_buried(job.storage_key):
                    raise InputNotFoundError(f"nothing is stored under {job.storage_key}")
            self._refuse_over_limits(jobs)
            return [self._accept(job) for job in jobs]

    def emitted(self, job_id: UUID, emission: int) -> None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.status.is_final or job.emissions != emission:
                return
            job.confirmed = emission
            if job.status is JobStatus.QUEUED:
                self._set_due_as_emitted(job)

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        for job_id, emission in emissions:
            self.emitted(job_id, emission)

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        token = token or uuid.uuid4().hex
        with self._lock:
            job, now_s = self._jobs.get(job_id), self._clock()
            if job is None:
                self._erase_what_came_late(job_id, None)
                return Erased() if self._is_buried(str(job_id)) else Unknown()
            if job.status.is_final:
                return AlreadyFinal(record=job.record())
            if job.is_held(now_s) and job.token == token:
                return Lease(job_id=job_id, fence=job.fence, record=job.record())
            if job.token == token or token in job.unheard or token in job.withdrawn:
                self.withdraw(job_id, token)
                raise late_claim_error()
            if job.is_held(now_s) and job.lease_s is not None:
                lease = Lease(job_id=job_id, fence=job.fence, record=job.record())
                return Held(lease=lease, lease_left_s=job.lease_s - now_s, attempt_s=now_s - job.claimed_s)
            self._record_lost_attempt(job)
            if job.attempts >= self._max_attempts:
                self._give_up(job, crash_error(), hand_out_s=now_s)
                return AttemptsSpent(record=self._record_at_end(job))
            self._lanes.enter_window(job)
            job.error = None
            job.attempts += 1
            job.fence += 1
            job.worker = worker
            job.token = token
            job.claimed_s = now_s
            job.timeout_s = self._job_timeout_s
            job.confirmed = job.emissions
            if job.started_s is None:
                job.started_s = now_s
                self._tally.observe(metrics.JOB_STAGE_DURATION, job.new.type, "queued", value=now_s - job.created_s)
            self._lease(job)
            return Lease(job_id=job_id, fence=job.fence, record=job.record())

    def withdraw(self, job_id: UUID, token: str) -> None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.status.is_final or token in job.withdrawn:
                return
            job.withdrawn = [*job.withdrawn, token][-HISTORY_KEPT:]
            fence = job.unheard.pop(token, None)
            if fence is not None:
                job.uncount_attempt(fence, unanswered_claim_error())
            elif job.status is JobStatus.PROCESSING and job.token == token:
                self._give_back(job, unanswered_claim_error(), counts=False)

    def renew(self, lease: Lease) -> Outcome:
        with self._lock:
            job = self._jobs.get(lease.job_id)
            if job is None:
                self._erase_what_came_late(lease.job_id, None)
            if job is None or not job.is_holder(lease.fence):
                return Outcome.STALE
            if job.remove_end():
                job.error = None
            self._lease(job)
            return Outcome.DONE

    def rendered(self, lease: Lease, name: str, made: JobResult | DarkroomError) -> Outcome:
        with self._lock:
            job = self._jobs.get(lease.job_id)
            self._erase_what_came_late(lease.job_id, job)
            if job is None or not job.is_holder(lease.fence):
                return Outcome.STALE
            if isinstance(made, JobResult) and name not in job.made:
                self._tally.count(metrics.RESULT_SIZE, result_format(made.content_type), by=made.bytes)
            job.made[name] = made
            self._notify_listeners(job)
            return Outcome.DONE

    def complete(
        self, lease: Lease, result: JobResult | None, timings_ms: dict[str, int]
    ) -> tuple[Outcome, JobRecord | None]:
        with self._lock:
            job = self._jobs.get(lease.job_id)
            self._erase_what_came_late(lease.job_id, job)
            if job is not None and job.is_holder(lease.fence):
                self._record_end(job, self._clock(), None)
                job.error, job.result, job.timings_ms = None, result, dict(timings_ms)
                self._finish(job, JobStatus.COMPLETED)
                self._count_stages(job)
                if result is not None:
                    self._count_result(job, result)
            return self._ended(job, lease, JobStatus.COMPLETED)

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]:
        with self._lock:
            job = self._jobs.get(lease.job_id)
            if job is None:
                self._erase_what_came_late(lease.job_id, None)
            elif job.is_holder(lease.fence):
                self._record_end(job, self._clock(), error.code)
                job.error = error
                self._finish(job, JobStatus.FAILED)
            return self._ended(job, lease, JobStatus.FAILED)

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        with self._lock:
            job = self._jobs.get(lease.job_id)
            if job is None:
                self._erase_what_came_late(lease.job_id, None)
                return Outcome.STALE
            if job.status is JobStatus.QUEUED and job.fence == lease.fence == job.released:
                return Outcome.DONE
            if not job.is_holder(lease.fence):
                return Outcome.STALE
            self._give_back(job, error, counts=counts)
            return Outcome.DONE

    def get(self, job_id: UUID) -> JobRecord | None:
        with self._lock:
            job = self._jobs.get(job_id)
            return None if job is None else job.record()

    def list_jobs(
        self,
        owner: str,
        *,
        status: JobStatus | None = None,
        job_type: str | None = None,
        limit: int = 20,
        after: JobCursor | None = None,
    ) -> JobPage:
        with self._lock:
            fitting = [
                (milliseconds(job.created_s), str(job_id), job)
                for job_id, job in self._jobs.items()
                if job.new.owner == owner and status in {None, job.status} and job_type in {None, job.new.type}
            ]
        if after is not None:
            place = (after.created_ms, str(after.job_id))
            fitting = [entry for entry in fitting if entry[:2] < place]
        fitting.sort(key=lambda entry: entry[:2], reverse=True)
        page = fitting[:limit]
        more = len(fitting) > limit and page
        return JobPage(
            records=[job.record() for _, _, job in page],
            next=JobCursor(created_ms=page[-1][0], job_id=UUID(page[-1][1])) if more else None,
        )

    def search(self, wanted: JobSearch, *, limit: int, after: JobCursor | None = None) -> FoundJobs:
        with self._lock:
            records = [job.record() for job in self._jobs.values()]
        return search_records(records, wanted, limit=limit, after=after)

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        with self._lock:
            job, now_s = self._jobs.get(job_id), self._clock()
            if job is None:
                self._erase_what_came_late(job_id, None)
                return Recovered(step=NextStep.NOTHING)
            if job.hand_out_s is not None:
                return self._hand_out(job)
            if job.status.is_final or job.is_held(now_s):
                return Recovered(step=NextStep.NOTHING, record=job.record())
            self._record_lost_attempt(job)
            job.confirmed = job.emissions
            if self._is_spent(job):
                self._give_up(job, error, hand_out_s=now_s)
                return self._hand_out(job)
            if job.emissions - job.redriven == 1:
                return self._emit(job)
            job.lease_s = None
            self._set_status(job, JobStatus.QUEUED)
            self._lanes.leave(job)
            job.due_s = now_s + self._doubled(self._times.dead_letter_wait_s, job.emissions - job.redriven - 2)
            return Recovered(step=NextStep.NOTHING, record=job.record())

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        with self._lock:
            now_s = self._clock()
            given_up = [job for job in self._jobs.values() if job.hand_out_s is not None and job.hand_out_s <= now_s]
            overdue = self._overdue(now_s)
            given_up.sort(key=lambda job: job.hand_out_s or 0.0)
            steps = [self._hand_out(job) for job in given_up[:limit]]
            return steps + [self._recover_overdue(job, error) for job in overdue[: limit - len(steps)]]

    def _overdue(self, now_s: float) -> list[MemoryJob]:
        """Return the jobs that are past their deadline, the longest overdue first. One that waits in its lane has
        none."""
        unfinished = (job for job in self._jobs.values() if not job.status.is_final and not job.in_lane)
        overdue = (job for job in unfinished if job.due_s <= now_s)
        return sorted(overdue, key=lambda job: (job.due_s, str(job.new.job_id)))

    def kept(self, job_id: UUID) -> None:
        with self._lock:
            if job_id in self._jobs:
                self._jobs[job_id].hand_out_s = None

    def redrive(
        self,
        job_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        presets: Mapping[str, PresetUse] | None = None,
        remake: Sequence[str] = (),
    ) -> Recovered:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return Recovered(step=NextStep.NOTHING)
            if job.status is not JobStatus.FAILED or job.is_cancelled:
                return Recovered(step=NextStep.NOTHING, record=job.record())
            if parameters is not None:
                job.new = replace(job.new, parameters=parameters)
            if presets is not None:
                job.new = replace(job.new, presets=presets)
            job.made = {name: made for name, made in job.made.items() if job.stands(name) and name not in remake}
            job.hand_out_s = job.error = job.finished_s = job.worker = job.released = None
            job.timings_ms = {}
            job.attempts, job.redriven = 0, job.emissions
            job.redrives += 1
            self._tally.count(metrics.JOBS_REDRIVEN, job.new.type)
            job.fence += 1
            job.emissions += 1
            self._set_status(job, JobStatus.QUEUED)
            if not self._lanes.enter(job):
                return Recovered(step=NextStep.WAIT, record=job.record())
            job.due_s = self._clock() + self._times.unemitted_due_after_s
            return Recovered(step=NextStep.EMIT, record=job.record())

    def cancel(self, job_id: UUID, *, owner: str) -> CancelAnswer:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.new.owner != owner:
                return Unknown()
            if job.status.is_final:
                return AlreadyFinal(record=job.record())
            self._cancel(job)
            self._erasures.queue(job_id, self._clock())
            return Cancelled(record=self._record_at_end(job))

    def erase(self, job_id: UUID, *, owner: str) -> EraseAnswer:
        with self._lock:
            job, now_s = self._jobs.get(job_id), self._clock()
            if job is None:
                return Erased() if self._erasures.owner_of(str(job_id), now_s) == owner else Unknown()
            if job.new.owner != owner:
                return Unknown()
            was_final = job.status.is_final
            if not was_final:
                self._cancel(job)
            ended = None if was_final else self._record_at_end(job)
            if original := free_original(job, self._jobs):
                self._erasures.bury(original, owner, now_s)
            del self._jobs[job_id]
            self._keepers_owed.pop(job_id, None)
            self.owed.drop_owed(job_id)
            self._bindings = {key: bound for key, bound in self._bindings.items() if bound != job_id}
            self._erasures.bury(str(job_id), owner, now_s)
            self._erasures.queue(job_id, now_s, everything=True, original=original)
            self._notify_listeners(job)
            return Erased(record=ended)

    def is_erased(self, job_id: UUID) -> bool:
        with self._lock:
            return self._is_buried(str(job_id))

    def due_erasures(self, *, limit: int) -> list[Erasure]:
        with self._lock:
            return self._erasures.due(limit, self._clock())

    def erasure_done(self, erasure: Erasure) -> None:
        with self._lock:
            self._erasures.done(erasure)

    def owe_keeper(self, job_id: UUID, body: bytes) -> None:
        with self._lock:
            self._keepers_owed[job_id] = body

    def owed_keepers(self, *, limit: int) -> dict[UUID, bytes]:
        with self._lock:
            return dict(list(self._keepers_owed.items())[:limit])

    def keeper_written(self, job_id: UUID) -> None:
        with self._lock:
            self._keepers_owed.pop(job_id, None)

    def without_record(self, job_ids: Sequence[UUID]) -> set[UUID]:
        with self._lock:
            return {job_id for job_id in set(job_ids) - self._jobs.keys() if not self._is_buried(str(job_id))}

    def restore(self, jobs: Sequence[KeptJob]) -> list[Restoration]:
        with self._lock:
            return [self._restore(job) for job in jobs]

    def next_in_line(self, lane: Lane | None = None, *, limit: int) -> list[JobRecord]:
        handed_out: list[JobRecord] = []
        with self._lock:
            for each in [lane] if lane is not None else sorted(self._lanes.waiting(), key=str):
                while len(handed_out) < limit and (job := self._lanes.take_next(each)) is not None:
                    job.due_s = self._clock() + self._times.unemitted_due_after_s
                    handed_out.append(job.record())
        return handed_out

    def unemitted(self, *, limit: int) -> list[JobRecord]:
        with self._lock:
            handed_out: list[JobRecord] = []
            for job in self._overdue(self._clock()):
                is_unemitted = job.status is JobStatus.QUEUED and job.confirmed < job.emissions
                if len(handed_out) < limit and is_unemitted and not self._is_spent(job):
                    recovered = self._emit(job)
                    if recovered.step is NextStep.EMIT and recovered.record is not None:
                        handed_out.append(recovered.record)
            return handed_out

    def backlog(self) -> Backlog:
        with self._lock:
            unfinished = [job for job in self._jobs.values() if not job.status.is_final]
            counts = {
                status: sum(job.status is status for job in unfinished)
                for status in (JobStatus.QUEUED, JobStatus.PROCESSING)
            }
            oldest_s = min((job.created_s for job in unfinished), default=self._clock())
            return Backlog(by_status=counts, oldest_age_s=self._clock() - oldest_s)

    def statistics(self) -> Readings:
        with self._lock:
            backlog, now_s = self.backlog(), self._clock()
            webhooks_owed, oldest_owed_age_s = self.owed.count_and_oldest_age_s()
            outbox = [
                job
                for job in self._jobs.values()
                if job.status is JobStatus.QUEUED
                and job.created_s + self._times.unemitted_due_after_s <= now_s
                and job.confirmed < job.emissions
                and not job.in_lane
            ]
            return job_readings(
                self._tally,
                unfinished=backlog.by_status,
                oldest_age_s=backlog.oldest_age_s,
                outbox=len(outbox),
                given_up=sum(job.hand_out_s is not None for job in self._jobs.values()),
                lanes=self._lanes.loads(now_s),
                broker_window=self._lanes.broker_window,
                webhooks_owed=webhooks_owed,
                oldest_owed_age_s=oldest_owed_age_s,
            )

    def condition(self, *, struck: int) -> StoreCondition:
        with self._lock:
            newest = sorted(self._jobs.values(), key=lambda job: job.created_s, reverse=True)
            records = [job.record() for job in newest if not job.status.is_final]
            return StoreCondition(
                used_bytes=self.used_bytes,
                max_bytes=self.max_bytes,
                load=self._load(None),
                struck=tuple(record for record in records if was_struck(record))[:struck],
            )

    def check(self) -> None:
        """Always succeed: memory is always available."""

    def _erase_what_came_late(self, job_id: UUID, job: MemoryJob | None) -> None:
        """Somebody came upon a job that was erased, or whose results were: what it wrote came after the erasure."""
        if job is None and self._is_buried(str(job_id)):
            self._erasures.queue(job_id, self._clock(), everything=True)
        elif job is not None and job.is_cancelled:
            self._erasures.queue(job_id, self._clock())

    def _is_buried(self, name: str) -> bool:
        return self._erasures.owner_of(name, self._clock()) is not None

    def _cancel(self, job: MemoryJob) -> None:
        error = cancelled_error()
        if job.is_held(self._clock()):
            self._record_end(job, self._clock(), error.code)
        else:
            self._record_lost_attempt(job)
        job.error = error
        job.fence += 1
        self._finish(job, JobStatus.FAILED)

    def _refuse_over_limits(self, jobs: Sequence[NewJob]) -> None:
        new = {_binding(job) if job.idempotency_key else job.job_id: job.owner for job in jobs if not self._has(job)}
        for owner in set(new.values()):
            facts, owners = self._facts(owner), list(new.values())
            quota, backlog = replace(self._limits, max_backlog=None), replace(self._limits, quota=None)
            over_quota = over_limits(facts, quota, owners.count(owner))
            refused = over_quota or over_limits(facts, backlog, len(owners))
            if refused is not None:
                number = owners.count(owner) if over_quota else len(owners)
                self._tally.count(metrics.JOBS_REFUSED, limit_of(refused), by=number)
                raise refused

    def _has(self, job: NewJob) -> bool:
        return self._first_id(job) in self._jobs

    def _is_known(self, owner: str, name: JobName) -> bool:
        bound = self._bindings.get((owner, name.idempotency_key)) if name.idempotency_key else None
        return (bound or name.job_id) in self._jobs

    def _facts(self, owner: str) -> BacklogFacts:
        if self._limits == BacklogLimits():
            return BacklogFacts(mine=NO_LOAD, all=NO_LOAD)
        return BacklogFacts(mine=self._load(owner), all=self._load(None))

    def _load(self, owner: str | None) -> BacklogLoad:
        ended, within_s = self._drain.of(owner, self._clock())
        return BacklogLoad(
            unfinished=sum(not job.status.is_final and owner in {None, job.new.owner} for job in self._jobs.values()),
            ended=ended,
            within_s=within_s,
            oldest_age_s=self.backlog().oldest_age_s,
        )

    def _mismatches(self, jobs: Sequence[NewJob]) -> list[int]:
        found: list[int] = []
        of_this_batch: dict[UUID, NewJob] = {}
        bound: dict[tuple[str, str], UUID] = {}
        for place, job in enumerate(jobs):
            first_id = bound.get(_binding(job)) or self._first_id(job)
            there = self._jobs[first_id].new if first_id in self._jobs else of_this_batch.get(first_id)
            if there is None and self._is_buried(str(first_id)):
                found.append(place)
            elif there is None:
                of_this_batch[first_id] = job
                if job.idempotency_key:
                    bound[_binding(job)] = first_id
            elif (there.owner, there.fingerprint) != (job.owner, job.fingerprint):
                found.append(place)
        return found

    def _first_id(self, job: NewJob) -> UUID:
        """The id of the job that the idempotency key is bound to, or the job's own."""
        return self._bindings.get(_binding(job), job.job_id)

    def _accept(self, job: NewJob) -> Accepted:
        there = self._jobs.get(self._first_id(job))
        if there is not None:
            return Accepted(record=there.record(), created=False)
        now_s = self._clock()
        made = MemoryJob(new=job, created_s=now_s, due_s=now_s + self._times.unemitted_due_after_s)
        self._lanes.enter(made)
        self._jobs[job.job_id] = made
        if job.idempotency_key:
            self._bindings[_binding(job)] = job.job_id
        self._tally.count(metrics.JOBS_ACCEPTED, job.type, job.cost_class)
        self._tally.count(metrics.ORIGINAL_SIZE, by=job.original_bytes)
        self._notify_listeners(made)
        return Accepted(record=made.record(), created=True)

    def _restore(self, kept: KeptJob) -> Restoration:
        now_s, new = self._clock(), kept.new
        if new.job_id in self._jobs:
            return Restoration.EXISTS
        if self._is_buried(str(new.job_id)) or self._is_buried(new.storage_key):
            return Restoration.EXISTS
        job = restored_job(kept, now_s)
        if job.is_expired(now_s, self._times.final_kept_s):
            return Restoration.EXPIRED
        self._jobs[new.job_id] = job
        if new.idempotency_key and now_s < job.created_s + self._times.idempotency_kept_s:
            self._bindings.setdefault(_binding(new), new.job_id)
        self._tally.count(metrics.JOBS_ACCEPTED, new.type, new.cost_class)
        if job.status is JobStatus.COMPLETED:
            self._tally.count(metrics.JOBS_ENDED, new.type, new.cost_class, job.status, "")
        else:
            self._lanes.wait(job)
        self._notify_listeners(job)
        return Restoration(job.status)

    def _recover_overdue(self, job: MemoryJob, error: DarkroomError) -> Recovered:
        self._record_lost_attempt(job)
        if self._is_spent(job):
            self._give_up(job, error, hand_out_s=self._clock())
            return self._hand_out(job)
        return self._emit(job)

    def _emit(self, job: MemoryJob) -> Recovered:
        self._tally.count(metrics.JOBS_EMITTED_AGAIN, job.new.type)
        job.lease_s = None
        if job.confirmed >= job.emissions:
            job.emissions += 1
        self._set_status(job, JobStatus.QUEUED)
        if not self._lanes.enter(job):
            return Recovered(step=NextStep.WAIT, record=job.record())
        job.due_s = self._clock() + self._times.unemitted_due_after_s
        return Recovered(step=NextStep.EMIT, record=job.record())

    def _hand_out(self, job: MemoryJob) -> Recovered:
        job.hand_out_s = self._clock() + self._times.keep_within_s
        return Recovered(step=NextStep.FAILED, record=job.record())

    def _give_up(self, job: MemoryJob, error: DarkroomError, *, hand_out_s: float) -> None:
        job.hand_out_s = hand_out_s
        job.fence += 1
        job.error = job.error or error
        self._finish(job, JobStatus.FAILED)

    def _is_spent(self, job: MemoryJob) -> bool:
        needs_another_emission = job.confirmed >= job.emissions
        emissions_spent = job.emissions - job.redriven >= self._max_emissions
        return job.attempts >= self._max_attempts or (needs_another_emission and emissions_spent)

    def _record_lost_attempt(self, job: MemoryJob) -> None:
        """Record that the lease of a job in progress ran out. Its last sign of life was its latest renewal."""
        if job.status is not JobStatus.PROCESSING or job.lease_s is None:
            return
        alive_until_s = job.lease_s - self._times.lease_s
        lasted_s = alive_until_s + RENEW_EVERY_S - job.claimed_s
        job.error = lost_attempt_error(lasted_s=lasted_s, job_timeout_s=job.timeout_s)
        self._record_end(job, alive_until_s, job.error.code)
        if job.token is not None:
            job.unheard[job.token] = job.fence
            for oldest in list(job.unheard)[:-HISTORY_KEPT]:
                del job.unheard[oldest]

    def _give_back(self, job: MemoryJob, error: DarkroomError, *, counts: bool) -> None:
        self._record_end(job, self._clock(), error.code)
        job.error, job.released = error, job.fence
        job.lease_s = job.worker = None
        job.attempts -= 0 if counts else 1
        self._set_status(job, JobStatus.QUEUED)
        self._set_due_as_emitted(job)

    def _record_end(self, job: MemoryJob, ended_s: float, code: str | None) -> None:
        job.record_end(ended_s, code)
        self._tally.count(metrics.JOB_ATTEMPTS, job.new.type, code or "")

    def _lease(self, job: MemoryJob) -> None:
        job.lease_s = job.due_s = self._clock() + self._times.lease_s
        self._set_status(job, JobStatus.PROCESSING)

    def _finish(self, job: MemoryJob, status: JobStatus) -> None:
        job.lease_s = job.token = None
        job.withdrawn, job.unheard = [], {}
        job.confirmed = 0
        job.finished_s = self._clock()
        self._lanes.leave(job)
        self._drain.count(job.new.owner, job.finished_s)
        self._count_end(job, job.finished_s, status)
        job.status = status
        self.owed.owe(job.record())
        self._notify_listeners(job)

    def _count_end(self, job: MemoryJob, ended_s: float, status: JobStatus) -> None:
        code = "" if status is JobStatus.COMPLETED or job.error is None else job.error.code
        of_job = (job.new.type, job.new.cost_class)
        self._tally.count(metrics.JOBS_ENDED, *of_job, status, code)
        if job.redrives:
            return
        lasted_s = ended_s - job.created_s
        self._tally.observe(metrics.JOB_DURATION, *of_job, status, value=lasted_s)
        if job.new.cost_class == "standard":
            good = lasted_s <= OBJECTIVE_WITHIN_S and (not code or code in client_fault_codes())
            self._tally.count(metrics.OBJECTIVE_JOBS, "true" if good else "false")

    def _count_stages(self, job: MemoryJob) -> None:
        for stage, lasted_ms in job.timings_ms.items():
            self._tally.observe(metrics.JOB_STAGE_DURATION, job.new.type, stage, value=lasted_ms / 1000)

    def _count_result(self, job: MemoryJob, result: JobResult) -> None:
        name = result_format(result.content_type)
        self._tally.count(metrics.RESULT_SIZE, name, by=result.bytes)
        if "render" in job.timings_ms:
            self._tally.observe(metrics.RENDER_DURATION, name, value=job.timings_ms["render"] / 1000)

    def _ended(self, job: MemoryJob | None, lease: Lease, status: JobStatus) -> tuple[Outcome, JobRecord | None]:
        """DONE also if the same lease had already ended the job in this way: no other end leaves this fence."""
        if job is None:
            return Outcome.STALE, None
        if job.status is not status or job.fence != lease.fence:
            return Outcome.STALE, job.record()
        return Outcome.DONE, self._record_at_end(job)

    def _record_at_end(self, job: MemoryJob) -> JobRecord:
        return job.record().model_copy(update={"makes_room": self._lanes.is_room_wanted(job)})

    def _set_due_as_emitted(self, job: MemoryJob) -> None:
        job.due_s = self._clock() + self._doubled(self._times.emitted_due_after_s, job.emissions - job.redriven - 1)

    def _doubled(self, base_s: float, times: int) -> float:
        return min(base_s * 2.0**times, self._times.longest_wait_s)

    def _set_status(self, job: MemoryJob, status: JobStatus) -> None:
        if job.status is not status:
            job.status = status
            self._notify_listeners(job)

    def _notify_listeners(self, job: MemoryJob) -> None:
        for listener in self._listeners:
            listener(job.new.job_id, job.status)


def _binding(job: NewJob) -> tuple[str, str]:
    return job.owner, job.idempotency_key or ""
