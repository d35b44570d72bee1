"""The job store of functions while jobs are moved: PostgreSQL, and Redis for what is still there.

A call about one job goes to PostgreSQL. If the job is not there, it is brought from Redis first; only a job that a
worker holds under a lease in Redis stays until that ends, or until somebody but its worker has to change it. A call
about many jobs asks both stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from darkroom.adapters.jobs import (
    Accepted,
    Backlog,
    CancelAnswer,
    ClaimAnswer,
    EraseAnswer,
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
from darkroom.adapters.jobs.admission import JobName
from darkroom.adapters.jobs.condition import StoreCondition
from darkroom.adapters.jobs.erasing import Erased, Erasure
from darkroom.adapters.jobs.mismatches import idempotency_mismatch
from darkroom.adapters.jobs.moving.merging import (
    merge_backlogs,
    merge_conditions,
    merge_found,
    merge_pages,
    merge_readings,
)
from darkroom.adapters.jobs.moving.mover import Mover
from darkroom.adapters.jobs.moving.owed import MovingOwedWebhooks
from darkroom.adapters.jobs.moving.source import Known, Left, RedisSource
from darkroom.adapters.jobs.owed import OwedWebhooks
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch
from darkroom.contract.errors import DarkroomError, DependencyUnavailableError, InputNotFoundError
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.contract.presets import PresetUse
from darkroom.telemetry.metric import Readings

AnswerT = TypeVar("AnswerT")
Ended: TypeAlias = tuple[Outcome, JobRecord | None]
_READINGS_AT_MOST = 5
_ALL = 10_000
"""More than movers have on their way at once."""


class MovingJobStore:
    """Safe to share between threads."""

    def __init__(self, *, new: PostgresJobStore, old: RedisJobStore) -> None:
        self.mover = Mover(RedisSource(old), new)
        self._new = new
        self._old = old
        self._source = self.mover.source
        self._owed = MovingOwedWebhooks(new=new.owed, old=old.owed, bring=self._bring)
        self._erasing: dict[tuple[UUID, int], set[bool]] = {}
        """Which stores handed out an erasure; True is the old one."""

    @property
    def owed(self) -> OwedWebhooks:
        return self._owed

    # --- accepting -------------------------------------------------------------------------------------------------

    def admission(self, owner: str, names: Sequence[JobName]) -> None:
        """Limits count what is in the new store: what is left in Redis makes no difference to them."""
        self._new.admission(owner, names)

    def accept(self, job: NewJob) -> Accepted:
        return self.accept_many([job])[0]

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        if not jobs:
            return []
        known = self._source.known(jobs)
        _refuse_erased(jobs, known)
        if first := [each.first for each in known if each.first is not None]:
            self.mover.bring(first)
        return self._new.accept_many(jobs)

    def emitted(self, job_id: UUID, emission: int) -> None:
        self.emitted_many([(job_id, emission)])

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        # In this order a job that moves in between is found. If it is on its way, its event is sent once more.
        self._old.emitted_many(emissions)
        self._new.emitted_many(emissions)

    # --- attempts --------------------------------------------------------------------------------------------------

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        answer = self._new.claim(job_id, worker=worker, token=token)
        if not isinstance(answer, Unknown):
            return answer
        held = self.mover.bring([job_id], left=Left.HELD)
        if job_id in held:
            return held[job_id]
        answer = self._new.claim(job_id, worker=worker, token=token)
        if isinstance(answer, Unknown) and self._old.is_erased(job_id):
            return Erased()
        return answer

    def withdraw(self, job_id: UUID, token: str) -> None:
        self._old.withdraw(job_id, token)
        self._new.withdraw(job_id, token)

    def renew(self, lease: Lease) -> Outcome:
        return self._by_lease(lease, lambda store: store.renew(lease), _is_stale)

    def rendered(self, lease: Lease, name: str, made: JobResult | DarkroomError) -> Outcome:
        return self._by_lease(lease, lambda store: store.rendered(lease, name, made), _is_stale)

    def complete(self, lease: Lease, result: JobResult | None, timings_ms: dict[str, int]) -> Ended:
        return self._by_lease(lease, lambda store: store.complete(lease, result, timings_ms), _ended_nothing)

    def fail(self, lease: Lease, error: DarkroomError) -> Ended:
        return self._by_lease(lease, lambda store: store.fail(lease, error), _ended_nothing)

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        return self._by_lease(lease, lambda store: store.release(lease, error, counts=counts), _is_stale)

    def _by_lease(
        self,
        lease: Lease,
        call: Callable[[PostgresJobStore | RedisJobStore], AnswerT],
        is_refused: Callable[[AnswerT], bool],
    ) -> AnswerT:
        """Make the call where the job is. A lease of Redis is good in PostgreSQL too, once the job is there."""
        answer = call(self._new)
        if not is_refused(answer) or self._new.get(lease.job_id) is not None:
            return answer
        answer = call(self._old)
        if not is_refused(answer) or self._old.get(lease.job_id) is not None:
            return answer
        # It moved between the two calls, or is on its way; or it is gone, and refused once more.
        self._bring(lease.job_id)
        return call(self._new)

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, job_id: UUID) -> JobRecord | None:
        found = self._new.get(job_id) or self._old.get(job_id)
        if found is None and (fields := self._source.on_its_way(job_id)):
            found = record_of(dict(fields), job_id) if "type" in fields else None
        # It may have arrived while we looked elsewhere.
        return found or self._new.get(job_id)

    def list_jobs(
        self,
        owner: str,
        *,
        status: JobStatus | None = None,
        job_type: str | None = None,
        limit: int = 20,
        after: JobCursor | None = None,
    ) -> JobPage:
        old, new = (
            store.list_jobs(owner, status=status, job_type=job_type, limit=limit, after=after)
            for store in (self._old, self._new)
        )
        return merge_pages(new, old, limit=limit)

    def search(self, wanted: JobSearch, *, limit: int, after: JobCursor | None = None) -> FoundJobs:
        old, new = (store.search(wanted, limit=limit, after=after) for store in (self._old, self._new))
        return merge_found(new, old, limit=limit)

    # --- recovery --------------------------------------------------------------------------------------------------

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        held = self.mover.bring([job_id], left=Left.HELD)
        if job_id in held:
            return Recovered(step=NextStep.NOTHING, record=held[job_id].lease.record)
        return self._new.recover(job_id, error)

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        """The sweep also delivers what a mover that died has left on its way."""
        self.mover.finish()
        steps = self._new.recover_overdue(limit=limit, error=error)
        if len(steps) < limit:
            steps += self._old.recover_overdue(limit=limit - len(steps), error=error)
        return steps

    def kept(self, job_id: UUID) -> None:
        self._old.kept(job_id)
        self._new.kept(job_id)

    def redrive(
        self,
        job_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        presets: Mapping[str, PresetUse] | None = None,
        remake: Sequence[str] = (),
    ) -> Recovered:
        self._bring(job_id)
        return self._new.redrive(job_id, parameters=parameters, presets=presets, remake=remake)

    def next_in_line(self, lane: Lane | None = None, *, limit: int) -> list[JobRecord]:
        found = self._new.next_in_line(lane, limit=limit)
        return [*found, *self._old.next_in_line(lane, limit=limit - len(found))] if len(found) < limit else found

    def unemitted(self, *, limit: int) -> list[JobRecord]:
        found = self._new.unemitted(limit=limit)
        return [*found, *self._old.unemitted(limit=limit - len(found))] if len(found) < limit else found

    # --- cancelling and erasing --------------------------------------------------------------------------------------

    def cancel(self, job_id: UUID, *, owner: str) -> CancelAnswer:
        self._bring(job_id)
        return self._new.cancel(job_id, owner=owner)

    def erase(self, job_id: UUID, *, owner: str) -> EraseAnswer:
        self._bring(job_id)
        record = self._new.get(job_id)
        if record is not None:
            # Whether the original may go depends on who else uses it: all of them have to be in one store.
            self.mover.finish(limit=_ALL)
            self.mover.bring(self._source.users_of_original(job_id, record.storage_key) or [job_id])
        answer = self._new.erase(job_id, owner=owner)
        return self._old.erase(job_id, owner=owner) if isinstance(answer, Unknown) else answer

    def is_erased(self, job_id: UUID) -> bool:
        return self._new.is_erased(job_id) or self._old.is_erased(job_id)

    def due_erasures(self, *, limit: int) -> list[Erasure]:
        found: list[Erasure] = []
        for store, is_old in ((self._new, False), (self._old, True)):
            for erasure in store.due_erasures(limit=limit - len(found)) if len(found) < limit else []:
                self._erasing.setdefault((erasure.job_id, erasure.number), set()).add(is_old)
                found.append(erasure)
        return found

    def erasure_done(self, erasure: Erasure) -> None:
        for is_old in self._erasing.pop((erasure.job_id, erasure.number), {False}):
            (self._old if is_old else self._new).erasure_done(erasure)

    # --- keepers, restoring ------------------------------------------------------------------------------------------

    def owe_keeper(self, job_id: UUID, body: bytes) -> None:
        self._new.owe_keeper(job_id, body)

    def owed_keepers(self, *, limit: int) -> dict[UUID, bytes]:
        found = self._new.owed_keepers(limit=limit)
        return {**self._old.owed_keepers(limit=limit - len(found)), **found} if len(found) < limit else found

    def keeper_written(self, job_id: UUID) -> None:
        self._old.keeper_written(job_id)
        self._new.keeper_written(job_id)

    def without_record(self, job_ids: Sequence[UUID]) -> set[UUID]:
        missing = self._old.without_record(job_ids)
        missing = {job_id for job_id in missing if not self._source.on_its_way(job_id)}
        return self._new.without_record(sorted(missing)) if missing else set()

    def restore(self, jobs: Sequence[KeptJob]) -> list[Restoration]:
        """What Redis has is brought first, and so exists."""
        self.mover.bring([job.new.job_id for job in jobs])
        return self._new.restore(jobs)

    # --- numbers -----------------------------------------------------------------------------------------------------

    def backlog(self) -> Backlog:
        """What is on its way is delivered first, so that nothing is left out."""
        self.mover.finish()
        return merge_backlogs(self._new.backlog(), self._old.backlog())

    def statistics(self) -> Readings:
        """Counts move in two steps, and a reading in between would shrink: it is repeated."""
        self.mover.finish()
        for _ in range(_READINGS_AT_MOST):
            self.mover.finish_statistics()
            moves = self.mover.number_of_statistics()
            old, new = self._old.statistics(), self._new.statistics()
            if not self.mover.has_statistics() and self.mover.number_of_statistics() == moves:
                return merge_readings(new, old)
        raise DependencyUnavailableError("jobs", "the counts were moved to the other store while they were read")

    def condition(self, *, struck: int) -> StoreCondition:
        return merge_conditions(self._new.condition(struck=struck), self._old.condition(struck=struck), struck=struck)

    def check(self) -> None:
        self._new.check()
        self._old.check()

    def close(self) -> None:
        self._new.close()
        self._old.close()

    def _bring(self, job_id: UUID) -> None:
        self.mover.bring([job_id])


def _refuse_erased(jobs: Sequence[NewJob], known: Sequence[Known]) -> None:
    """Raises what `accept` raises for jobs and pictures that were erased in Redis."""
    erased = [place for place, each in enumerate(known) if each.is_erased and each.first is None]
    if erased:
        raise idempotency_mismatch(erased, of=len(jobs))
    for job, each in zip(jobs, known, strict=True):
        if each.is_picture_erased and each.first is None:
            raise InputNotFoundError(f"nothing is stored under {job.storage_key}")


def _is_stale(outcome: Outcome) -> bool:
    return outcome is Outcome.STALE


def _ended_nothing(ended: Ended) -> bool:
    return ended[0] is Outcome.STALE and ended[1] is None
