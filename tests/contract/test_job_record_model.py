"""The job record under random interleavings: workers, pauses, leases that run out, duplicate deliveries, dead letters,
claims whose answer was lost.

Two things are held against what a real store does: Redis, by whose name it goes here, or PostgreSQL. A ledger of what
was promised to whom: one live lease, fences that grow, ends that are never taken back.
And the store in memory, which must answer the same to every call.

Time passes in minutes while every wait of the stores ends between two of them, so that the moments that the real calls
take decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from darkroom.adapters.jobs import ClaimAnswer, EraseAnswer, JobStore, Lease, NewJob, NextStep, Outcome, Recovered
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import DependencyUnavailableError, ImageCorruptError, ImageCrashedError, JobTimeoutError
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.telemetry.metric import Distribution, Metric
from tests.contract.job_stores import JobStores, MemoryJobStores, a_result, new_job, stores_named
from tools import catalog as metrics

# Few, so that many interleavings come to where jobs are given up.
MAX_ATTEMPTS = 2
MAX_EMISSIONS = 3
JOBS = 2
"""The second has several results."""
RENDITIONS = ("thumb", "hero")
INDEX = st.integers(0, 11)
WORKER_CRASHED = ImageCrashedError("the worker ended without reporting")
MAKING = {
    "make the first": (RENDITIONS[0], True),
    "make the second": (RENDITIONS[1], True),
    "fail to make the first": (RENDITIONS[0], False),
}
LEASE_S = 100.0
BETWEEN_CALLS_S = 0.1
TIMES = JobTimes(
    lease_s=LEASE_S,
    emitted_due_after_s=220.0,
    unemitted_due_after_s=160.0,
    dead_letter_wait_s=340.0,
    longest_wait_s=3610.0,
    keep_within_s=280.0,
    erase_within_s=130.0,
    erase_again_after_s=190.0,
)
OF_THE_CLOCK: dict[str, Any] = {
    **dict.fromkeys(("created_at", "started_at", "finished_at", "lease_until", "timings_ms"), True),
    "history": {"__all__": {"started_at", "ended_at"}},
}


@dataclass
class Promised:
    """What the ledger knows of one job."""

    new: NewJob
    fence: int = 0
    leased_until_s: float | None = None
    end: dict[str, Any] | None = None
    """The record as it was when the job ended."""
    to_be_kept: bool = False
    redrives: int = 0
    counting: set[int] = field(default_factory=set)
    """The fences of the attempts that count."""
    made: set[str] = field(default_factory=set)
    """The renditions that were recorded."""


@dataclass
class Unheard:
    """A claim whose maker never had an answer."""

    job_id: UUID
    token: str
    fence: int | None
    """That of its lease; None: it got none, or did not arrive yet."""


@dataclass(frozen=True)
class Held:
    """One lease, as each store gave it."""

    in_redis: Lease
    in_memory: Lease


def without_times(record: JobRecord | None) -> dict[str, Any] | None:
    return None if record is None else record.model_dump(mode="json", exclude=OF_THE_CLOCK)


def answer_to(store: JobStore, lost: Unheard) -> ClaimAnswer | None:
    """None: it was refused, for it came too late."""
    try:
        return store.claim(lost.job_id, worker="unlucky", token=lost.token)
    except DependencyUnavailableError:
        return None


def comparable(answer: ClaimAnswer | None) -> tuple[str, int | None, dict[str, Any] | None]:
    return type(answer).__name__, getattr(answer, "fence", None), without_times(getattr(answer, "record", None))


def comparable_end(answer: EraseAnswer) -> tuple[str, dict[str, Any] | None]:
    return type(answer).__name__, without_times(getattr(answer, "record", None))


def steps(recovered: list[Recovered]) -> dict[UUID, tuple[NextStep, dict[str, Any] | None]]:
    return {each.record.job_id: (each.step, without_times(each.record)) for each in recovered if each.record}


def by_id(records: list[JobRecord]) -> dict[UUID, dict[str, Any] | None]:
    return {record.job_id: without_times(record) for record in records}


def what_is_erased(erasures: Iterable[Erasure]) -> dict[UUID, tuple[bool, str | None]]:
    return {erasure.job_id: (erasure.only_results, erasure.original) for erasure in erasures}


def counts_of(store: JobStore) -> dict[tuple[str, ...], float]:
    """Without what hangs on the clocks: ages and sums."""
    return {
        (metric.name, *labels): value.count if isinstance(value, Distribution) else value
        for metric, values in store.statistics().items()
        for labels, value in values.items()
        if metric not in {metrics.JOBS_OLDEST_UNFINISHED_AGE, metrics.LANE_OLDEST_WAIT}
    }


def a_job(owner: str, *, has_renditions: bool) -> NewJob:
    if not has_renditions:
        return new_job(owner=owner)
    renditions = {name: {"type": "resize", "parameters": {"width": 8}} for name in RENDITIONS}
    return new_job(owner=owner, type="renditions", parameters={"renditions": renditions})


def a_rendition(lease: Lease, name: str) -> JobResult:
    key = f"processed/{lease.job_id}/{name}.webp"
    return JobResult(storage_key=key, content_type="image/webp", width=8, height=6, bytes=99)


class JobRecordMachine(RuleBasedStateMachine):
    """Few rules, each with a choice inside: the more rules there are, the fewer interleavings come to the same job."""

    broker_window: int | None = None

    def __init__(self, stores: JobStores) -> None:
        super().__init__()
        rules: dict[str, Any] = {
            "max_attempts": MAX_ATTEMPTS,
            "max_emissions": MAX_EMISSIONS,
            "times": TIMES,
            "broker_window": self.broker_window,
        }
        self.redis_stores, self.memory_stores = stores, MemoryJobStores()
        self.redis, self.memory = self.redis_stores.make(**rules), self.memory_stores.make(**rules)
        self.promised: dict[UUID, Promised] = {}
        self.leases: list[Held] = []
        self.unheard: list[Unheard] = []
        self.now_s = 0.0
        for number in range(JOBS):
            self.accept(a_job(f"key-{number}", has_renditions=number == 1))

    def accept(self, job: NewJob) -> None:
        for store in (self.redis, self.memory):
            assert store.accept(job).created
            assert not store.accept(job).created, "sent twice"
        self.note_promise(job)

    def note_promise(self, job: NewJob) -> None:
        self.promised[job.job_id] = Promised(new=job)

    @rule(minutes=st.sampled_from([1, 2, 2, 5, 61]))
    def let_time_pass(self, minutes: int) -> None:
        self.now_s += minutes * 60
        self.redis_stores.advance(minutes * 60)
        self.memory_stores.advance(minutes * 60)

    @rule(pick=INDEX, worker=st.sampled_from(["a", "b"]), after_a_pause=st.booleans())
    def deliver(self, pick: int, worker: str, after_a_pause: bool) -> None:
        """To a worker; by the broker, once or many times, so to any number of them."""
        if after_a_pause:
            self.let_time_pass(2)
        job_id = self.job(pick)
        answer, expected = self.redis.claim(job_id, worker=worker), self.memory.claim(job_id, worker=worker)
        assert comparable(answer) == comparable(expected)
        self.note_claim(job_id, answer)
        if isinstance(answer, Lease) and isinstance(expected, Lease):
            self.leases.append(Held(answer, expected))

    @rule(pick=INDEX, arrives=st.booleans(), after_a_pause=st.booleans())
    def lose_a_claim(self, pick: int, arrives: bool, after_a_pause: bool) -> None:
        """Its request, or its answer."""
        if after_a_pause:
            self.let_time_pass(2)
        lost = Unheard(self.job(pick), f"t{len(self.unheard)}", None)
        self.unheard.append(lost)
        if arrives:
            self.claim_unheard(lost)

    @precondition(lambda self: self.unheard)
    @rule(pick=INDEX, act=st.sampled_from(["withdraw", "withdraw", "a copy comes late"]))
    def settle_a_claim(self, pick: int, act: str) -> None:
        """However long after it was made, and in whatever order."""
        lost = self.unheard[-1 - pick % len(self.unheard)]
        if act == "a copy comes late":
            self.claim_unheard(lost)
            return
        before = self.record(lost.job_id)
        self.redis.withdraw(lost.job_id, lost.token)
        self.memory.withdraw(lost.job_id, lost.token)
        self.compare_records(lost.job_id)
        self.note_withdrawal(lost, before)

    @precondition(lambda self: self.leases)
    @rule(pick=INDEX, act=st.sampled_from(["renew", "renew", "release", "take back", "complete", "fail", *MAKING]))
    def work(self, pick: int, act: str) -> None:
        """Any worker that ever had a lease, however long ago, does something with it."""
        held = self.leases[pick % len(self.leases)]
        match act:
            case "renew":
                self.renew(held)
            case "release" | "take back":
                self.release(held, counts=act == "release")
            case "complete":
                self.complete(held)
            case "fail":
                self.fail(held)
            case _:
                self.make_one(held, *MAKING[act])

    @rule(pick=INDEX, behind=st.integers(0, 1))
    def confirm_an_emission(self, pick: int, behind: int) -> None:
        job_id = self.job(pick)
        emission = self.record(job_id).emissions - behind
        self.redis.emitted(job_id, emission)
        self.memory.emitted(job_id, emission)

    @rule(pick=INDEX)
    def take_a_dead_letter(self, pick: int) -> None:
        recovered = self.redis.recover(self.job(pick), WORKER_CRASHED)
        expected = self.memory.recover(self.job(pick), WORKER_CRASHED)
        assert (recovered.step, without_times(recovered.record)) == (expected.step, without_times(expected.record))
        self.note_step(recovered)

    @rule(tells_the_broker=st.booleans(), keeps=st.booleans())
    def sweep(self, tells_the_broker: bool, keeps: bool) -> None:
        recovered = self.redis.recover_overdue(limit=1000, error=WORKER_CRASHED)
        assert steps(recovered) == steps(self.memory.recover_overdue(limit=1000, error=WORKER_CRASHED))
        assert len(steps(recovered)) == len(recovered), "a job was handed out twice"
        for each in recovered:
            self.note_step(each)
            self.act_on(each, tells_the_broker=tells_the_broker, keeps=keeps)

    @rule(resend=st.booleans())
    def hand_out(self, resend: bool) -> None:
        """What waits in its lane, or what the broker may not have."""
        handed_out = self.redis.unemitted(limit=10) if resend else self.redis.next_in_line(limit=10)
        expected = self.memory.unemitted(limit=10) if resend else self.memory.next_in_line(limit=10)
        assert by_id(handed_out) == by_id(expected)
        for record in handed_out:
            assert not record.in_lane
            assert self.promised[record.job_id].end is None, "an ended job was handed out"

    @rule(pick=INDEX, erases=st.sampled_from([False, False, True]))
    def cancel_or_erase(self, pick: int, erases: bool) -> None:
        job_id = self.job(pick)
        if erases:
            self.erase(job_id)
            return
        answer = self.redis.cancel(job_id, owner=self.promised[job_id].new.owner)
        expected = self.memory.cancel(job_id, owner=self.promised[job_id].new.owner)
        assert type(answer) is type(expected)
        assert without_times(getattr(answer, "record", None)) == without_times(getattr(expected, "record", None))
        assert isinstance(answer, Cancelled) == (self.promised[job_id].end is None)
        self.promised[job_id].end = self.promised[job_id].end or without_times(self.record(job_id))

    @rule(finishes=st.booleans())
    def erase_what_is_due(self, finishes: bool) -> None:
        due, expected = self.redis.due_erasures(limit=10), self.memory.due_erasures(limit=10)
        # Two stores hand out theirs one after the other, and each has its own numbers.
        assert what_is_erased(due) == what_is_erased(expected)
        for store, erasures in ((self.redis, due), (self.memory, expected)):
            for erasure in erasures if finishes else []:
                store.erasure_done(erasure)

    def erase(self, job_id: UUID) -> None:
        """Another takes its place, so that there is always the same number of jobs."""
        promised = self.promised.pop(job_id)
        answer = self.redis.erase(job_id, owner=promised.new.owner)
        expected = self.memory.erase(job_id, owner=promised.new.owner)
        assert comparable_end(answer) == comparable_end(expected)
        for held in [held for held in self.leases if held.in_redis.job_id == job_id]:
            self.leases.remove(held)
            result = a_result(held.in_redis)
            assert self.redis.complete(held.in_redis, result, {}) == (Outcome.STALE, None)
            assert self.memory.complete(held.in_memory, result, {}) == (Outcome.STALE, None)
        self.unheard = [lost for lost in self.unheard if lost.job_id != job_id]
        for store in (self.redis, self.memory):
            assert store.get(job_id) is None
            assert isinstance(store.claim(job_id, worker="late"), Erased)
        self.accept(a_job(promised.new.owner, has_renditions=promised.new.type == "renditions"))

    def claim_unheard(self, lost: Unheard) -> None:
        before = self.record(lost.job_id)
        answer = answer_to(self.redis, lost)
        assert comparable(answer) == comparable(answer_to(self.memory, lost))
        if isinstance(answer, Lease) and answer.fence == lost.fence:
            assert without_times(answer.record) == without_times(before), "a claim that was sent twice did something"
            return
        assert not (isinstance(answer, Lease) and lost.fence), "one claim got two leases"
        self.note_claim(lost.job_id, answer)
        if isinstance(answer, Lease):
            lost.fence = answer.fence
        if answer is None:
            # Whoever is refused has no lease: the store withdraws what an earlier copy may have got.
            self.compare_records(lost.job_id)
            self.note_withdrawal(lost, before)

    # --- what workers do

    def renew(self, held: Held) -> None:
        if self.same(held, self.redis.renew(held.in_redis), self.memory.renew(held.in_memory)) is Outcome.DONE:
            self.promised[held.in_redis.job_id].leased_until_s = self.now_s + LEASE_S

    def release(self, held: Held, *, counts: bool) -> None:
        error = JobTimeoutError("took 30 s")
        before = self.record(held.in_redis.job_id).attempts
        outcome = self.redis.release(held.in_redis, error, counts=counts)
        if self.same(held, outcome, self.memory.release(held.in_memory, error, counts=counts)) is Outcome.DONE:
            promised = self.promised[held.in_redis.job_id]
            promised.leased_until_s = None
            if self.record(held.in_redis.job_id).attempts < before:
                assert not counts, "an attempt that counts was taken back"
                promised.counting.remove(held.in_redis.fence)

    def make_one(self, held: Held, name: str, is_made: bool) -> None:
        """A worker has stored a rendition, or cannot make it. Only jobs with several results have any."""
        promised = self.promised[held.in_redis.job_id]
        if promised.new.type != "renditions":
            return
        made = a_rendition(held.in_redis, name) if is_made else ImageCorruptError("bad")
        outcome = self.redis.rendered(held.in_redis, name, made)
        if self.same(held, outcome, self.memory.rendered(held.in_memory, name, made)) is Outcome.DONE:
            promised.made.add(name)
        self.compare_records(held.in_redis.job_id)

    def complete(self, held: Held) -> None:
        is_single = self.promised[held.in_redis.job_id].new.type != "renditions"
        result = a_result(held.in_redis) if is_single else None
        outcome, record = self.redis.complete(held.in_redis, result, {"render": 1})
        expected, expected_record = self.memory.complete(held.in_memory, result, {"render": 1})
        assert without_times(record) == without_times(expected_record)
        self.same(held, outcome, expected)
        self.note_end(held.in_redis.job_id)

    def fail(self, held: Held) -> None:
        error = ImageCorruptError("bad")
        outcome, record = self.redis.fail(held.in_redis, error)
        expected, expected_record = self.memory.fail(held.in_memory, error)
        assert without_times(record) == without_times(expected_record)
        self.same(held, outcome, expected)
        self.note_end(held.in_redis.job_id)

    # --- what always holds

    @invariant()
    def nobody_is_tried_too_often(self) -> None:
        for job_id, promised in self.promised.items():
            record = self.record(job_id)
            assert 0 <= record.attempts <= MAX_ATTEMPTS
            assert record.attempts == len(promised.counting)
            assert 1 <= record.emissions <= MAX_EMISSIONS * (1 + promised.redrives)

    @invariant()
    def an_end_is_never_taken_back(self) -> None:
        for job_id, promised in self.promised.items():
            if promised.end is not None:
                assert without_times(self.redis.get(job_id)) == promised.end

    @invariant()
    def what_was_made_stands_whatever_becomes_of_the_attempt(self) -> None:
        for job_id, promised in self.promised.items():
            assert set(self.record(job_id).made) == promised.made

    @invariant()
    def both_stores_have_the_same_backlog(self) -> None:
        assert self.redis.backlog().by_status == self.memory.backlog().by_status

    def check_counts(self) -> None:
        """At the end is enough, for counts only grow."""
        counts = counts_of(self.redis)
        assert counts == counts_of(self.memory)

        def total(metric: Metric) -> float:
            return sum(count for (name, *_), count in counts.items() if name == metric.name)

        taken_in = total(metrics.JOBS_ACCEPTED) + total(metrics.JOBS_REDRIVEN)
        assert taken_in == total(metrics.JOBS_ENDED) + total(metrics.JOBS_UNFINISHED)

    def teardown(self) -> None:
        """Whatever happened: when all workers die from now on, every job ends, and is kept if it was given up."""
        try:
            self.check_counts()
            for _ in range(MAX_ATTEMPTS + MAX_EMISSIONS + 2):
                self.let_time_pass(61)
                self.sweep(tells_the_broker=True, keeps=True)
                self.hand_out(resend=False)
                for pick in range(JOBS):
                    self.deliver(pick, "dies at once", after_a_pause=False)
            for job_id, promised in self.promised.items():
                assert self.record(job_id).status.is_final
                assert not promised.to_be_kept, "given up, and never handed out to be kept"
            self.let_time_pass(61)
            assert self.redis.recover_overdue(limit=1000, error=WORKER_CRASHED) == []
            assert sum(self.redis.backlog().by_status.values()) == 0
            self.check_counts()
        finally:
            self.redis_stores.close()

    # --- the ledger

    def job(self, pick: int) -> UUID:
        # A moment between two calls: which of two jobs is overdue first decides who gets the last place in a window.
        self.redis_stores.advance(BETWEEN_CALLS_S)
        self.memory_stores.advance(BETWEEN_CALLS_S)
        self.now_s += BETWEEN_CALLS_S
        return list(self.promised)[pick % JOBS]

    def record(self, job_id: UUID) -> JobRecord:
        record = self.redis.get(job_id)
        assert record is not None
        return record

    def compare_records(self, job_id: UUID) -> None:
        assert without_times(self.redis.get(job_id)) == without_times(self.memory.get(job_id))

    def note_claim(self, job_id: UUID, answer: ClaimAnswer | None) -> None:
        if not isinstance(answer, Lease):
            self.note_end(job_id)
            return
        promised = self.promised[job_id]
        assert promised.end is None, "an ended job was claimed"
        assert promised.leased_until_s is None or promised.leased_until_s <= self.now_s, "two live leases"
        assert answer.fence > promised.fence, "the fence did not grow"
        promised.fence, promised.leased_until_s = answer.fence, self.now_s + LEASE_S
        promised.counting.add(answer.fence)

    def note_withdrawal(self, lost: Unheard, before: JobRecord) -> None:
        promised = self.promised[lost.job_id]
        if promised.end is None and lost.fence is not None:
            promised.counting.discard(lost.fence)
            if before.status is JobStatus.PROCESSING and promised.fence == lost.fence:
                promised.leased_until_s = None

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


@pytest.mark.parametrize(
    ("kind", "broker_window", "examples"),
    [
        ("redis", None, 60),
        ("redis", 1, 40),
        ("postgres", 1, 6),
        pytest.param("postgres", None, 60, marks=pytest.mark.slow),
        pytest.param("postgres", 1, 40, marks=pytest.mark.slow),
    ],
)
def test_no_interleaving_breaks_a_promise(
    request: pytest.FixtureRequest, kind: str, broker_window: int | None, examples: int
) -> None:
    class OnThisServer(JobRecordMachine):
        def __init__(self) -> None:
            self.broker_window = broker_window
            super().__init__(stores_named(kind, request))

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
