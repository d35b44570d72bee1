"""The job record under random interleavings: workers, pauses, leases that run out, duplicate deliveries, dead letters.

Two things are held against what Redis does. A ledger of what was promised to whom: one live lease, fences that grow,
ends that are never taken back. And the store in memory, which must answer the same to every call.

Time passes in minutes while every wait of the stores ends between two of them, so that the moments that the real calls
take decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from darkroom.adapters.jobs import ClaimAnswer, Lease, NewJob, NextStep, Outcome, Recovered
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import ImageCorruptError, ImageCrashedError, JobTimeoutError
from darkroom.contract.jobs import JobRecord
from tests.contract.job_stores import MemoryJobStores, RedisJobStores, a_result, new_job
from tests.servers import Server

# Few, so that many interleavings come to where jobs are given up.
MAX_ATTEMPTS = 2
MAX_EMISSIONS = 3
MAX_JOBS = 3
NO_WORD = ImageCrashedError("the worker ended without a word")
WAIT_S = 100.0
TIMES = JobTimes(
    lease_s=WAIT_S,
    emitted_due_after_s=WAIT_S,
    unemitted_due_after_s=WAIT_S,
    dead_letter_wait_s=WAIT_S,
    longest_wait_s=3610.0,
    keep_within_s=WAIT_S,
)
OF_THE_CLOCK = {"created_at", "started_at", "finished_at", "lease_until", "timings_ms"}


@dataclass
class Promised:
    """What the ledger knows of one job."""

    new: NewJob
    fence: int = 0
    leased_until_s: float | None = None
    end: dict[str, Any] | None = None
    """The record as it was when the job ended."""
    to_be_kept: bool = False


@dataclass(frozen=True)
class Held:
    """One lease, as each store gave it."""

    in_redis: Lease
    in_memory: Lease


def without_times(record: JobRecord | None) -> dict[str, Any] | None:
    return None if record is None else record.model_dump(mode="json", exclude=OF_THE_CLOCK)


def comparable(answer: ClaimAnswer) -> tuple[str, int | None, dict[str, Any] | None]:
    return type(answer).__name__, getattr(answer, "fence", None), without_times(getattr(answer, "record", None))


def steps(recovered: list[Recovered]) -> dict[UUID, tuple[NextStep, dict[str, Any] | None]]:
    return {each.record.job_id: (each.step, without_times(each.record)) for each in recovered if each.record}


class JobRecordMachine(RuleBasedStateMachine):
    jobs: Bundle[UUID] = Bundle("jobs")
    leases: Bundle[Held] = Bundle("leases")

    def __init__(self, url: str) -> None:
        super().__init__()
        rules: dict[str, Any] = {"max_attempts": MAX_ATTEMPTS, "max_emissions": MAX_EMISSIONS, "times": TIMES}
        self.redis_stores, self.memory_stores = RedisJobStores(url), MemoryJobStores()
        self.redis, self.memory = self.redis_stores.make(**rules), self.memory_stores.make(**rules)
        self.promised: dict[UUID, Promised] = {}
        self.now_s = 0.0

    # --- clients and the broker

    @precondition(lambda self: len(self.promised) < MAX_JOBS)
    @rule(target=jobs)
    def accept(self) -> UUID:
        job = new_job()
        for store in (self.redis, self.memory):
            assert store.accept(job).created
        self.promised[job.job_id] = Promised(new=job)
        return job.job_id

    @rule(job_id=jobs)
    def accept_again(self, job_id: UUID) -> None:
        for store in (self.redis, self.memory):
            assert not store.accept(self.promised[job_id].new).created

    @rule(job_id=jobs, behind=st.integers(0, 1))
    def confirm_an_emission(self, job_id: UUID, behind: int) -> None:
        emission = self.record(job_id).emissions - behind
        self.redis.emitted(job_id, emission)
        self.memory.emitted(job_id, emission)

    @rule(minutes=st.sampled_from([1, 2, 5, 61]))
    def let_time_pass(self, minutes: int) -> None:
        self.now_s += minutes * 60
        self.redis_stores.advance(minutes * 60)
        self.memory_stores.advance(minutes * 60)

    # --- workers

    @rule(target=leases, job_id=jobs, worker=st.sampled_from(["a", "b"]))
    def deliver(self, job_id: UUID, worker: str) -> Any:
        answer, expected = self.redis.claim(job_id, worker=worker), self.memory.claim(job_id, worker=worker)
        assert comparable(answer) == comparable(expected)
        if not isinstance(answer, Lease) or not isinstance(expected, Lease):
            self.note_end(job_id)
            return multiple()
        promised = self.promised[job_id]
        assert promised.end is None, "an ended job was claimed"
        assert promised.leased_until_s is None or promised.leased_until_s <= self.now_s, "two live leases"
        assert answer.fence > promised.fence, "the fence did not grow"
        promised.fence, promised.leased_until_s = answer.fence, self.now_s + WAIT_S
        return Held(answer, expected)

    @rule(held=leases)
    def renew(self, held: Held) -> None:
        outcome = self.same(held, self.redis.renew(held.in_redis), self.memory.renew(held.in_memory))
        if outcome is Outcome.DONE:
            self.promised[held.in_redis.job_id].leased_until_s = self.now_s + WAIT_S

    @rule(held=leases)
    def complete(self, held: Held) -> None:
        result = a_result(held.in_redis)
        outcome, record = self.redis.complete(held.in_redis, result, {"render": 1})
        expected, expected_record = self.memory.complete(held.in_memory, result, {"render": 1})
        assert without_times(record) == without_times(expected_record)
        self.same(held, outcome, expected)
        self.note_end(held.in_redis.job_id)

    @rule(held=leases)
    def fail(self, held: Held) -> None:
        error = ImageCorruptError("bad")
        outcome, record = self.redis.fail(held.in_redis, error)
        expected, expected_record = self.memory.fail(held.in_memory, error)
        assert without_times(record) == without_times(expected_record)
        self.same(held, outcome, expected)
        self.note_end(held.in_redis.job_id)

    @rule(held=leases, counts=st.booleans())
    def release(self, held: Held, counts: bool) -> None:
        error = JobTimeoutError("took 30 s")
        outcome = self.redis.release(held.in_redis, error, counts=counts)
        if self.same(held, outcome, self.memory.release(held.in_memory, error, counts=counts)) is Outcome.DONE:
            self.promised[held.in_redis.job_id].leased_until_s = None

    @rule(held=consumes(leases))
    def die(self, held: Held) -> None:
        """Nothing is heard of this lease any more."""

    # --- recovery

    @rule(job_id=jobs)
    def take_a_dead_letter(self, job_id: UUID) -> None:
        recovered = self.redis.recover(job_id, NO_WORD)
        expected = self.memory.recover(job_id, NO_WORD)
        assert (recovered.step, without_times(recovered.record)) == (expected.step, without_times(expected.record))
        self.note_step(recovered)

    @rule(tells_the_broker=st.booleans(), keeps=st.booleans())
    def sweep(self, tells_the_broker: bool, keeps: bool) -> None:
        recovered = self.redis.recover_overdue(limit=1000, error=NO_WORD)
        assert steps(recovered) == steps(self.memory.recover_overdue(limit=1000, error=NO_WORD))
        assert len(steps(recovered)) == len(recovered), "a job was handed out twice"
        for each in recovered:
            self.note_step(each)
            self.act_on(each, tells_the_broker=tells_the_broker, keeps=keeps)

    # --- what always holds

    @invariant()
    def nobody_is_tried_too_often(self) -> None:
        for job_id in self.promised:
            record = self.record(job_id)
            assert 0 <= record.attempts <= MAX_ATTEMPTS
            assert 1 <= record.emissions <= MAX_EMISSIONS

    @invariant()
    def an_end_is_never_taken_back(self) -> None:
        for job_id, promised in self.promised.items():
            if promised.end is not None:
                assert without_times(self.redis.get(job_id)) == promised.end

    @invariant()
    def both_stores_have_the_same_backlog(self) -> None:
        assert self.redis.backlog().by_status == self.memory.backlog().by_status

    def teardown(self) -> None:
        """Whatever happened: when all workers die from now on, every job ends, and is kept if it was given up."""
        try:
            for _ in range(MAX_ATTEMPTS + MAX_EMISSIONS + 2):
                self.let_time_pass(61)
                self.sweep(tells_the_broker=True, keeps=True)
                for job_id in self.promised:
                    self.deliver(job_id, "dies at once")
            for job_id, promised in self.promised.items():
                assert self.record(job_id).status.is_final
                assert not promised.to_be_kept, "given up, and never handed out to be kept"
            self.let_time_pass(61)
            assert self.redis.recover_overdue(limit=1000, error=NO_WORD) == []
            assert sum(self.redis.backlog().by_status.values()) == 0
        finally:
            self.redis_stores.close()

    # --- the ledger

    def record(self, job_id: UUID) -> JobRecord:
        record = self.redis.get(job_id)
        assert record is not None
        return record

    def same(self, held: Held, outcome: Outcome, expected: Outcome) -> Outcome:
        assert outcome == expected
        if outcome is Outcome.DONE:
            assert held.in_redis.fence == self.promised[held.in_redis.job_id].fence, "a stale lease was obeyed"
        return outcome

    def note_end(self, job_id: UUID) -> None:
        record, promised = self.record(job_id), self.promised[job_id]
        if record.status.is_final and promised.end is None:
            promised.end = without_times(record)
            given_up_by_others = record.fence > promised.fence
            promised.to_be_kept = given_up_by_others

    def note_step(self, recovered: Recovered) -> None:
        if recovered.record is None:
            return
        self.note_end(recovered.record.job_id)
        promised = self.promised[recovered.record.job_id]
        if recovered.step is NextStep.EMIT:
            assert promised.end is None, "an ended job was emitted"
            assert promised.leased_until_s is None or promised.leased_until_s <= self.now_s, "a held job was emitted"
        if recovered.step is NextStep.FAILED:
            assert promised.to_be_kept, "handed out to be kept, but it was not given up or is kept already"

    def act_on(self, recovered: Recovered, *, tells_the_broker: bool, keeps: bool) -> None:
        record = recovered.record
        if record is None:
            return
        for store in (self.redis, self.memory):
            if recovered.step is NextStep.EMIT and tells_the_broker:
                store.emitted(record.job_id, record.emissions)
            if recovered.step is NextStep.FAILED and keeps:
                store.kept(record.job_id)
        if recovered.step is NextStep.FAILED and keeps:
            self.promised[record.job_id].to_be_kept = False


def test_no_interleaving_breaks_a_promise(redis: Server) -> None:
    class OnThisServer(JobRecordMachine):
        def __init__(self) -> None:
            super().__init__(redis.url)

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
