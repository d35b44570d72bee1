"""What every job store promises: held against Redis and against the fake."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.jobs import (
    EMITTED_JOBS_DUE_AFTER_S,
    HISTORY_KEPT,
    LEASE_S,
    UNEMITTED_JOBS_DUE_AFTER_S,
    AlreadyFinal,
    AttemptsSpent,
    ClaimAnswer,
    Held,
    JobStore,
    Lease,
    NewJob,
    NextStep,
    Outcome,
    Unknown,
)
from darkroom.contract.errors import (
    DependencyUnavailableError,
    IdempotencyMismatchError,
    ImageCorruptError,
    ImageCrashedError,
    JobTimeoutError,
)
from darkroom.contract.jobs import JobRecord, JobStatus
from tests.contract.job_stores import STORES, JobStores, MemoryJobStores, a_result, new_job, stores_named

WORKER_CRASHED = ImageCrashedError("the worker ended without reporting")
STORAGE_DOWN = DependencyUnavailableError("storage", "PutObject was answered 503 SlowDown")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make()


def accepted(store: JobStore, **changes: Any) -> UUID:
    return store.accept(new_job(**changes)).record.job_id


def claimed(store: JobStore, job_id: UUID, worker: str = "worker-1") -> Lease:
    answer = store.claim(job_id, worker=worker)
    assert isinstance(answer, Lease), answer
    return answer


def record_of(store: JobStore, job_id: UUID) -> JobRecord:
    record = store.get(job_id)
    assert record is not None
    return record


# --- every transition, allowed or not --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A job brought into a state, and a lease with which a worker comes back to it."""

    lease: Lease


def no_job(store: JobStore, stores: JobStores) -> Situation:
    some_lease = processing(store, stores).lease
    return Situation(lease=replace(some_lease, job_id=uuid.uuid4()))


def queued(store: JobStore, stores: JobStores) -> Situation:
    """The lease is invented: nobody ever had one."""
    some_lease = processing(store, stores).lease
    return Situation(lease=replace(some_lease, job_id=accepted(store)))


def processing(store: JobStore, stores: JobStores) -> Situation:
    return Situation(lease=claimed(store, accepted(store)))


def lease_ran_out(store: JobStore, stores: JobStores) -> Situation:
    situation = processing(store, stores)
    stores.advance(LEASE_S + 1)
    return situation


def released(store: JobStore, stores: JobStores) -> Situation:
    situation = processing(store, stores)
    assert store.release(situation.lease, STORAGE_DOWN, counts=True) is Outcome.DONE
    return situation


def swept(store: JobStore, stores: JobStores) -> Situation:
    """Its lease ran out and the sweep put it back into the queue; nobody claimed it yet."""
    situation = lease_ran_out(store, stores)
    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
    assert recovered.step is NextStep.EMIT
    return situation


def claimed_by_another(store: JobStore, stores: JobStores) -> Situation:
    situation = lease_ran_out(store, stores)
    claimed(store, situation.lease.job_id, "worker-2")
    return situation


def completed(store: JobStore, stores: JobStores) -> Situation:
    situation = processing(store, stores)
    assert store.complete(situation.lease, a_result(situation.lease), {})[0] is Outcome.DONE
    return situation


def failed(store: JobStore, stores: JobStores) -> Situation:
    situation = processing(store, stores)
    assert store.fail(situation.lease, ImageCorruptError("bad"))[0] is Outcome.DONE
    return situation


def given_up(store: JobStore, stores: JobStores) -> Situation:
    job_id = accepted(store)
    for _ in range(3):
        lease = claimed(store, job_id)
        stores.advance(LEASE_S + 1)
    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.FAILED
    return Situation(lease=lease)


def claim(store: JobStore, lease: Lease) -> str:
    return type(store.claim(lease.job_id, worker="worker-3")).__name__


def renew(store: JobStore, lease: Lease) -> str:
    return store.renew(lease)


def complete(store: JobStore, lease: Lease) -> str:
    return store.complete(lease, a_result(lease), {})[0]


def fail(store: JobStore, lease: Lease) -> str:
    return store.fail(lease, ImageCorruptError("bad"))[0]


def release(store: JobStore, lease: Lease) -> str:
    return store.release(lease, STORAGE_DOWN, counts=True)


def dead_letter(store: JobStore, lease: Lease) -> str:
    return store.recover(lease.job_id, WORKER_CRASHED).step


def redrive(store: JobStore, lease: Lease) -> str:
    return store.redrive(lease.job_id).step


CHANGES: list[Callable[[JobStore, Lease], str]] = [claim, renew, complete, fail, release, dead_letter, redrive]
# For each state: what each change answers, and the status that the job has then.
TRANSITIONS: dict[Callable[[JobStore, JobStores], Situation], list[tuple[str, str | None]]] = {
    no_job: [
        ("Unknown", None),
        ("stale", None),
        ("stale", None),
        ("stale", None),
        ("stale", None),
        ("nothing", None),
        ("nothing", None),
    ],
    queued: [
        ("Lease", "processing"),
        ("stale", "queued"),
        ("stale", "queued"),
        ("stale", "queued"),
        ("stale", "queued"),
        ("emit", "queued"),
        ("nothing", "queued"),
    ],
    processing: [
        ("Held", "processing"),
        ("done", "processing"),
        ("done", "completed"),
        ("done", "failed"),
        ("done", "queued"),
        ("nothing", "processing"),
        ("nothing", "processing"),
    ],
    lease_ran_out: [
        ("Lease", "processing"),
        ("done", "processing"),
        ("done", "completed"),
        ("done", "failed"),
        ("done", "queued"),
        ("emit", "queued"),
        ("nothing", "processing"),
    ],
    released: [
        ("Lease", "processing"),
        ("stale", "queued"),
        ("stale", "queued"),
        ("stale", "queued"),
        ("done", "queued"),
        ("emit", "queued"),
        ("nothing", "queued"),
    ],
    swept: [
        ("Lease", "processing"),
        ("done", "processing"),
        ("done", "completed"),
        ("done", "failed"),
        ("done", "queued"),
        ("nothing", "queued"),
        ("nothing", "queued"),
    ],
    claimed_by_another: [
        ("Held", "processing"),
        ("stale", "processing"),
        ("stale", "processing"),
        ("stale", "processing"),
        ("stale", "processing"),
        ("nothing", "processing"),
        ("nothing", "processing"),
    ],
    completed: [
        ("AlreadyFinal", "completed"),
        ("stale", "completed"),
        ("done", "completed"),
        ("stale", "completed"),
        ("stale", "completed"),
        ("nothing", "completed"),
        ("nothing", "completed"),
    ],
    failed: [
        ("AlreadyFinal", "failed"),
        ("stale", "failed"),
        ("stale", "failed"),
        ("done", "failed"),
        ("stale", "failed"),
        ("nothing", "failed"),
        ("emit", "queued"),
    ],
    given_up: [
        ("AlreadyFinal", "failed"),
        ("stale", "failed"),
        ("stale", "failed"),
        ("stale", "failed"),
        ("stale", "failed"),
        ("failed", "failed"),
        ("emit", "queued"),
    ],
}


@pytest.mark.parametrize(
    ("state", "change", "answer", "status"),
    [
        pytest.param(state, change, *expected, id=f"{state.__name__}-{change.__name__}")
        for state, row in TRANSITIONS.items()
        for change, expected in zip(CHANGES, row, strict=True)
    ],
)
def test_each_change_does_what_the_table_says(
    store: JobStore,
    stores: JobStores,
    state: Callable[[JobStore, JobStores], Situation],
    change: Callable[[JobStore, Lease], str],
    answer: str,
    status: str | None,
) -> None:
    situation = state(store, stores)

    assert change(store, situation.lease) == answer

    record = store.get(situation.lease.job_id)
    assert (None if record is None else record.status) == status


@pytest.mark.parametrize(
    ("state", "change"),
    [
        pytest.param(state, change, id=f"{state.__name__}-{change.__name__}")
        for state, row in TRANSITIONS.items()
        for change, (answer, _) in zip(CHANGES, row, strict=True)
        if answer in {"stale", "Held", "AlreadyFinal"}
    ],
)
def test_a_refused_change_changes_nothing(
    store: JobStore,
    stores: JobStores,
    state: Callable[[JobStore, JobStores], Situation],
    change: Callable[[JobStore, Lease], str],
) -> None:
    situation = state(store, stores)
    before = store.get(situation.lease.job_id)

    change(store, situation.lease)

    assert store.get(situation.lease.job_id) == before


# --- accept ----------------------------------------------------------------------------------------------------------


def test_an_accepted_job_is_what_was_asked_for(store: JobStore) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job = new_job(parameters={"width": 1, "gravity": {"x": 0.25, "y": 1}}, idempotency_key="k", trace=trace)

    answer = store.accept(job)

    assert answer.created
    assert store.get(job.job_id) == answer.record
    assert answer.record.status is JobStatus.QUEUED
    assert answer.record.parameters == job.parameters
    assert (answer.record.type, answer.record.owner, answer.record.trace) == (job.type, job.owner, trace)
    assert (answer.record.storage_key, answer.record.request_id) == (job.storage_key, job.request_id)
    assert (answer.record.attempts, answer.record.emissions, answer.record.fence) == (0, 1, 0)


def test_the_same_idempotency_key_finds_the_first_job(store: JobStore) -> None:
    first = store.accept(new_job(idempotency_key="k"))
    second = store.accept(new_job(idempotency_key="k"))

    assert not second.created
    assert second.record == first.record


def test_the_same_idempotency_key_of_another_owner_is_another_key(store: JobStore) -> None:
    store.accept(new_job(idempotency_key="k"))

    assert store.accept(new_job(idempotency_key="k", owner="key-2")).created


def test_the_same_idempotency_key_with_another_request_is_refused(store: JobStore) -> None:
    store.accept(new_job(idempotency_key="k"))
    other = new_job(idempotency_key="k", fingerprint="e" * 64)

    with pytest.raises(IdempotencyMismatchError):
        store.accept(other)

    assert store.get(other.job_id) is None


def test_a_job_sent_twice_is_accepted_once(store: JobStore) -> None:
    job = new_job()
    first = store.accept(job)
    claimed(store, job.job_id)

    second = store.accept(job)

    assert not second.created
    assert second.record.status is JobStatus.PROCESSING
    assert second.record.created_at == first.record.created_at


@pytest.mark.parametrize("change", [{"owner": "key-2"}, {"fingerprint": "e" * 64}])
def test_a_job_id_that_is_taken_by_another_request_is_refused(store: JobStore, change: dict[str, str]) -> None:
    job = new_job()
    store.accept(job)

    with pytest.raises(IdempotencyMismatchError):
        store.accept(new_job(job_id=job.job_id, **change))

    assert record_of(store, job.job_id).owner == job.owner


def test_many_posts_with_one_key_at_once_make_one_job(store: JobStore) -> None:
    answers = at_once(10, lambda: store.accept(new_job(idempotency_key="k")))

    assert sum(answer.created for answer in answers) == 1
    assert len({answer.record.job_id for answer in answers}) == 1


# --- accept many -----------------------------------------------------------------------------------------------------


def test_many_jobs_are_accepted_in_their_order(store: JobStore) -> None:
    jobs = [new_job(idempotency_key=str(number)) for number in range(5)]

    answers = store.accept_many(jobs)

    assert [answer.record.job_id for answer in answers] == [job.job_id for job in jobs]
    assert all(answer.created for answer in answers)
    assert [store.get(job.job_id) for job in jobs] == [answer.record for answer in answers]
    assert store.backlog().by_status[JobStatus.QUEUED] == 5


def test_of_no_jobs_none_is_accepted(store: JobStore) -> None:
    assert store.accept_many([]) == []


def test_many_jobs_sent_again_are_those_that_are_there(store: JobStore) -> None:
    jobs = [new_job(idempotency_key=str(number)) for number in range(3)]
    first = store.accept_many(jobs)
    again = [replace(job, job_id=uuid.uuid4()) for job in jobs]

    answers = store.accept_many([*again, new_job()])

    assert [answer.created for answer in answers] == [False, False, False, True]
    assert [answer.record for answer in answers[:3]] == [answer.record for answer in first]


def test_of_many_jobs_with_one_key_the_first_is_the_job(store: JobStore) -> None:
    first, second = new_job(idempotency_key="k"), new_job(idempotency_key="k")

    answers = store.accept_many([first, second])

    assert [answer.created for answer in answers] == [True, False]
    assert {answer.record.job_id for answer in answers} == {first.job_id}
    assert store.get(second.job_id) is None


def taken_by_a_job_that_is_there(store: JobStore) -> list[NewJob]:
    store.accept(new_job(idempotency_key="k"))
    return [new_job(), new_job(idempotency_key="k", fingerprint="e" * 64), new_job()]


def taken_by_another_of_the_batch(store: JobStore) -> list[NewJob]:
    return [new_job(idempotency_key="k"), new_job(idempotency_key="k", fingerprint="e" * 64), new_job()]


def id_taken_by_another_owner(store: JobStore) -> list[NewJob]:
    first = new_job()
    return [first, new_job(job_id=first.job_id, owner="key-2"), new_job()]


@pytest.mark.parametrize(
    "make", [taken_by_a_job_that_is_there, taken_by_another_of_the_batch, id_taken_by_another_owner]
)
def test_one_mismatch_refuses_all_and_is_named(store: JobStore, make: Callable[[JobStore], list[NewJob]]) -> None:
    jobs = make(store)
    before = store.backlog()

    with pytest.raises(IdempotencyMismatchError) as refused:
        store.accept_many(jobs)

    assert [verdict is None for verdict in refused.value.batch_errors] == [True, False, True]
    assert refused.value.batch_errors[1] is refused.value
    assert store.backlog().by_status == before.by_status
    assert [store.get(job.job_id) for job in jobs] == [None, None, None]


# --- claim, renew ----------------------------------------------------------------------------------------------------


def test_a_claim_counts_the_attempt_and_names_the_worker(store: JobStore) -> None:
    job_id = accepted(store)

    lease = claimed(store, job_id, "worker-7")

    assert (lease.fence, lease.record.attempts, lease.record.worker) == (1, 1, "worker-7")
    assert lease.record.lease_until is not None
    assert lease.record.started_at is not None
    assert (lease.record.lease_until - lease.record.started_at).total_seconds() == LEASE_S


def test_a_claim_of_a_held_job_says_who_holds_it_and_for_how_long(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    claimed(store, job_id, "worker-1")
    stores.advance(4)

    answer = store.claim(job_id, worker="worker-2")

    assert isinstance(answer, Held)
    assert answer.worker == "worker-1"
    assert answer.lease_left_s == pytest.approx(LEASE_S - 4, abs=1)


def test_many_claims_at_once_give_one_lease(store: JobStore) -> None:
    for _ in range(20):
        job_id = accepted(store)

        answers = claims_at_once(store, job_id)

        assert Counter(type(answer) for answer in answers) == {Lease: 1, Held: 9}
        assert record_of(store, job_id).attempts == 1


def test_many_claims_at_once_of_a_job_whose_lease_ran_out_give_one_lease(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    claimed(store, job_id)
    stores.advance(LEASE_S + 1)

    answers = claims_at_once(store, job_id)

    assert Counter(type(answer) for answer in answers) == {Lease: 1, Held: 9}


def test_the_fence_grows_with_every_claim(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    fences = []
    for _ in range(3):
        fences.append(claimed(store, job_id).fence)
        stores.advance(LEASE_S + 1)

    assert fences == sorted(set(fences))


def test_renewing_keeps_the_others_out(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    lease = claimed(store, job_id)
    for _ in range(5):
        stores.advance(LEASE_S - 3)
        assert store.renew(lease) is Outcome.DONE

    stores.advance(LEASE_S - 3)

    assert isinstance(store.claim(job_id, worker="worker-2"), Held)
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []


def test_past_the_last_attempt_a_claim_fails_the_job(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    for _ in range(3):
        claimed(store, job_id)
        stores.advance(LEASE_S + 1)

    answer = store.claim(job_id, worker="worker-2")

    assert isinstance(answer, AttemptsSpent)
    assert answer.record == store.get(job_id)
    assert answer.record.status is JobStatus.FAILED
    assert answer.record.error is not None
    assert (answer.record.error.code, answer.record.error.attempts) == ("image.crashed", 3)


def test_attempts_are_bounded_by_what_the_store_was_told(stores: JobStores) -> None:
    store = stores.make(max_attempts=1)
    job_id = accepted(store)
    claimed(store, job_id)
    stores.advance(LEASE_S + 1)

    assert isinstance(store.claim(job_id, worker="worker-2"), AttemptsSpent)


def test_a_job_given_up_fails_with_the_error_of_its_latest_attempt(store: JobStore) -> None:
    job_id = accepted(store)
    for second in range(3):
        store.release(claimed(store, job_id), JobTimeoutError(f"took {second} s"), counts=True)

    answer = store.claim(job_id, worker="worker-2")

    assert isinstance(answer, AttemptsSpent)
    assert answer.record.error is not None
    assert (answer.record.error.code, answer.record.error.message) == ("job.timeout", "took 2 s")


def test_an_earlier_attempts_error_does_not_explain_a_later_crash(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    store.release(claimed(store, job_id), JobTimeoutError("took 30 s"), counts=True)
    for _ in range(2):
        claimed(store, job_id)
        stores.advance(LEASE_S + 1)

    recovered = store.recover(job_id, WORKER_CRASHED)

    assert recovered.step is NextStep.FAILED
    assert recovered.record is not None
    assert recovered.record.error is not None
    assert recovered.record.error.code == WORKER_CRASHED.code


# --- complete, fail, release -----------------------------------------------------------------------------------------


def test_a_completed_job_has_its_result_and_its_times(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    stores.advance(0.5)
    lease = claimed(store, job_id)
    stores.advance(2)

    outcome, record = store.complete(lease, a_result(lease), {"fetch": 5, "render": 61, "store": 7})

    assert outcome is Outcome.DONE
    assert record == store.get(job_id)
    assert record is not None
    assert record.status is JobStatus.COMPLETED
    assert record.result == a_result(lease)
    assert record.lease_until is None
    assert {name: record.timings_ms[name] for name in ("fetch", "render", "store")} == {
        "fetch": 5,
        "render": 61,
        "store": 7,
    }
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.timings_ms["queued"] == round((record.started_at - record.created_at).total_seconds() * 1000) >= 500
    assert (record.finished_at - record.started_at).total_seconds() >= 2


def test_the_wait_in_the_queue_ends_with_the_first_claim(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    first = claimed(store, job_id)
    stores.advance(LEASE_S + 1)
    second = claimed(store, job_id)

    assert second.record.timings_ms["queued"] == first.record.timings_ms["queued"]


def test_a_failed_job_says_why_and_after_how_many_attempts(store: JobStore) -> None:
    job_id = accepted(store)
    store.release(claimed(store, job_id), STORAGE_DOWN, counts=True)
    lease = claimed(store, job_id)

    outcome, record = store.fail(lease, ImageCorruptError("the header ends after 12 bytes"))

    assert outcome is Outcome.DONE
    assert record is not None
    assert record.error is not None
    assert record.error.model_dump() == {
        "code": "image.corrupt",
        "message": "the header ends after 12 bytes",
        "attempts": 2,
    }


def test_a_failed_job_that_a_worker_ended_is_not_handed_to_recovery(store: JobStore, stores: JobStores) -> None:
    failed(store, stores)
    stores.advance(7200)

    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []


@pytest.mark.parametrize(("counts", "attempts"), [(True, 1), (False, 0)])
def test_a_release_takes_the_attempt_back_unless_it_counts(store: JobStore, counts: bool, attempts: int) -> None:
    job_id = accepted(store)
    lease = claimed(store, job_id)

    assert store.release(lease, STORAGE_DOWN, counts=counts) is Outcome.DONE
    assert store.release(lease, STORAGE_DOWN, counts=counts) is Outcome.DONE, "sent again after a lost answer"

    record = record_of(store, job_id)
    assert (record.attempts, record.worker, record.lease_until) == (attempts, None, None)
    assert record.error is not None
    assert record.error.code == STORAGE_DOWN.code


def test_a_dependency_that_is_down_never_uses_up_the_attempts(store: JobStore) -> None:
    job_id = accepted(store)
    for _ in range(10):
        assert store.release(claimed(store, job_id), STORAGE_DOWN, counts=False) is Outcome.DONE

    assert record_of(store, job_id).status is JobStatus.QUEUED


def test_a_hundred_paused_workers_that_wake_write_nothing(store: JobStore, stores: JobStores) -> None:
    leases = [claimed(store, accepted(store)) for _ in range(100)]
    stores.advance(LEASE_S + 1)
    for lease in leases:
        winner = claimed(store, lease.job_id, "worker-2")
        store.complete(winner, a_result(winner), {"render": 1})

    for lease in leases:
        outcome, record = store.complete(lease, a_result(lease), {"render": 2})
        assert outcome is Outcome.STALE
        assert record is not None
        assert record.timings_ms["render"] == 1


# --- recovery --------------------------------------------------------------------------------------------------------


def test_a_job_whose_emission_nobody_confirmed_is_emitted_again_under_the_same_id(
    store: JobStore, stores: JobStores
) -> None:
    job_id = accepted(store)
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)

    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert recovered.step is NextStep.EMIT
    assert recovered.record is not None
    assert recovered.record.event_id() == f"{job_id}.1"


def test_a_broker_that_is_down_for_hours_uses_up_no_emission(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    for _ in range(100):
        stores.advance(60)
        (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
        assert recovered.step is NextStep.EMIT

    assert record_of(store, job_id).emissions == 1


def test_an_emitted_job_that_nobody_claims_is_emitted_anew_later_each_time(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    for emission in range(1, 4):
        store.emitted(job_id, emission)
        stores.advance(EMITTED_JOBS_DUE_AFTER_S * 2 ** (emission - 1) - 1)
        assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
        stores.advance(2)
        (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
        assert recovered.record is not None
        assert recovered.record.event_id() == f"{job_id}.{emission + 1}"


def test_the_emissions_of_several_jobs_are_confirmed_at_once(store: JobStore, stores: JobStores) -> None:
    first, stale, last, claimed_first = (accepted(store) for _ in range(4))
    claimed(store, claimed_first)

    store.emitted_many([(first, 1), (stale, 2), (uuid.uuid4(), 1), (claimed_first, 1), (last, 1)])

    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)
    overdue = store.recover_overdue(limit=10, error=WORKER_CRASHED)
    assert [recovered.record.job_id for recovered in overdue if recovered.record is not None] == [stale]


def test_what_is_said_of_an_earlier_emission_confirms_nothing(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.EMIT
    store.emitted(job_id, 1)
    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)

    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert recovered.record is not None
    assert recovered.record.event_id() == f"{job_id}.2"


def test_a_job_whose_worker_died_is_emitted_anew_when_its_lease_ran_out(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    claimed(store, job_id)
    stores.advance(LEASE_S - 1)
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
    stores.advance(2)

    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert recovered.step is NextStep.EMIT
    assert recovered.record is not None
    assert (recovered.record.status, recovered.record.emissions) == (JobStatus.QUEUED, 2)


def test_a_released_job_waits_for_the_brokers_redelivery_before_the_sweep_takes_it(
    store: JobStore, stores: JobStores
) -> None:
    job_id = accepted(store)
    store.release(claimed(store, job_id), STORAGE_DOWN, counts=False)
    stores.advance(EMITTED_JOBS_DUE_AFTER_S - 1)
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
    stores.advance(2)

    assert [each.step for each in store.recover_overdue(limit=10, error=WORKER_CRASHED)] == [NextStep.EMIT]


def test_a_late_word_of_the_emission_does_not_hide_a_worker_that_died(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    claimed(store, job_id)
    store.emitted(job_id, 1)
    stores.advance(LEASE_S + 1)

    assert [each.step for each in store.recover_overdue(limit=10, error=WORKER_CRASHED)] == [NextStep.EMIT]


def test_later_dead_letters_of_a_job_wait_longer(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.EMIT
    for wait_s in (15, 30, 60):
        assert store.recover(job_id, WORKER_CRASHED).step is NextStep.NOTHING
        stores.advance(wait_s - 1)
        assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
        stores.advance(2)
        (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
        assert recovered.step is NextStep.EMIT

    assert record_of(store, job_id).emissions == 5


def test_a_job_with_all_emissions_spent_is_failed(stores: JobStores) -> None:
    store = stores.make(max_emissions=3)
    job_id = accepted(store)
    emissions = 1
    while (recovered := store.recover(job_id, WORKER_CRASHED)).step is not NextStep.FAILED:
        stores.advance(7200)
        emissions += recovered.step is NextStep.EMIT
        if recovered.step is NextStep.NOTHING:
            emissions += len(store.recover_overdue(limit=10, error=WORKER_CRASHED))

    assert emissions == 3
    assert record_of(store, job_id).status is JobStatus.FAILED


def test_an_overdue_job_is_handed_to_one_sweeper_only(store: JobStore, stores: JobStores) -> None:
    job_ids = {accepted(store) for _ in range(60)}
    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)

    answers = at_once(4, lambda: store.recover_overdue(limit=25, error=WORKER_CRASHED))

    handed_out = [recovered.record.job_id for answer in answers for recovered in answer if recovered.record]
    assert len(handed_out) == len(set(handed_out))
    assert set(handed_out) == job_ids


def test_the_longest_overdue_are_recovered_first(store: JobStore, stores: JobStores) -> None:
    job_ids = []
    for _ in range(5):
        job_ids.append(accepted(store))
        stores.advance(1)
    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S)

    recovered = store.recover_overdue(limit=3, error=WORKER_CRASHED)

    assert [each.record.job_id for each in recovered if each.record] == job_ids[:3]


def test_a_job_given_up_is_handed_out_until_it_was_kept(store: JobStore, stores: JobStores) -> None:
    job_id = given_up(store, stores).lease.job_id
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == [], "whoever was told first has time to keep it"
    for _ in range(2):
        stores.advance(61)
        (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
        assert recovered.step is NextStep.FAILED
        assert recovered.record == store.get(job_id)
        assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == [], "another sweeper has it"

    store.kept(job_id)
    store.kept(job_id)

    stores.advance(61)
    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.NOTHING


def test_a_job_given_up_by_a_claim_is_handed_to_the_next_sweep(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    for _ in range(3):
        claimed(store, job_id)
        stores.advance(LEASE_S + 1)
    assert isinstance(store.claim(job_id, worker="worker-2"), AttemptsSpent)

    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert recovered.step is NextStep.FAILED
    assert recovered.record is not None
    assert recovered.record.job_id == job_id


def test_recovering_an_unknown_job_does_nothing(store: JobStore) -> None:
    recovered = store.recover(uuid.uuid4(), WORKER_CRASHED)

    assert (recovered.step, recovered.record) == (NextStep.NOTHING, None)
    store.emitted(uuid.uuid4(), 1)
    store.kept(uuid.uuid4())


# --- attempts that end without reporting -----------------------------------------------------------------------------


def found_by_a_claim(store: JobStore, job_id: UUID) -> JobRecord | None:
    answer = store.claim(job_id, worker="worker-2")
    assert isinstance(answer, AttemptsSpent)
    return answer.record


def found_by_a_dead_letter(store: JobStore, job_id: UUID) -> JobRecord | None:
    return store.recover(job_id, STORAGE_DOWN).record


def found_by_the_sweep(store: JobStore, job_id: UUID) -> JobRecord | None:
    (recovered,) = store.recover_overdue(limit=10, error=STORAGE_DOWN)
    return recovered.record


@pytest.mark.parametrize("find", [found_by_a_claim, found_by_a_dead_letter, found_by_the_sweep])
@pytest.mark.parametrize(("alive_s", "code"), [(0, "image.crashed"), (20, "image.crashed"), (27, "job.timeout")])
def test_how_long_a_silent_attempt_lived_says_what_it_died_of(
    stores: JobStores,
    find: Callable[[JobStore, UUID], JobRecord | None],
    alive_s: int,
    code: str,
) -> None:
    """Its last renewal is the last sign of life; the next would have come 3 s later, and JOB_TIMEOUT is 30 s."""
    store = stores.make(max_attempts=1)
    job_id = accepted(store)
    lease = claimed(store, job_id)
    if alive_s:
        stores.advance(alive_s)
        store.renew(lease)
    stores.advance(LEASE_S + 1)

    record = find(store, job_id)

    assert record is not None
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == code
    (attempt,) = record.history
    assert (attempt.fence, attempt.worker, attempt.code) == (1, "worker-1", code)
    assert attempt.ended_at is not None
    assert (attempt.ended_at - attempt.started_at).total_seconds() == pytest.approx(alive_s, abs=1)


def test_each_attempt_is_held_against_its_own_workers_timeout(stores: JobStores) -> None:
    """Hard pictures have more time; recovery, which finds them, need not know it."""
    if isinstance(stores, MemoryJobStores):
        pytest.skip("the stores in memory share nothing")
    patient, recovery = stores.make(job_timeout_s=120), stores.make(max_attempts=1)
    lease = claimed(patient, accepted(patient))
    for _ in range(6):
        stores.advance(9)
        patient.renew(lease)
    stores.advance(LEASE_S + 1)

    (recovered,) = recovery.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert recovered.record is not None
    assert recovered.record.error is not None
    assert recovered.record.error.code == "image.crashed"


def test_the_job_of_a_dead_worker_can_be_given_back_in_its_name(store: JobStore) -> None:
    job_id = accepted(store)
    claimed(store, job_id, "worker-1")
    found = store.claim(job_id, worker="worker-2")
    assert isinstance(found, Held)

    assert store.release(found.lease, WORKER_CRASHED, counts=True) is Outcome.DONE

    assert claimed(store, job_id, "worker-2").record.attempts == 2
    assert store.release(found.lease, WORKER_CRASHED, counts=True) is Outcome.STALE, "somebody else's lease by now"


def test_a_worker_that_recovery_took_for_dead_goes_on_as_if_nothing_had_been(
    store: JobStore, stores: JobStores
) -> None:
    lease = swept(store, stores).lease
    assert [attempt.code for attempt in record_of(store, lease.job_id).history] == ["image.crashed"]

    store.renew(lease)

    record = record_of(store, lease.job_id)
    assert record.error is None
    assert [(attempt.code, attempt.ended_at) for attempt in record.history] == [(None, None)]


def test_a_record_shows_who_made_each_attempt_when_and_its_result(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    store.release(claimed(store, job_id, "a"), STORAGE_DOWN, counts=False)
    stores.advance(2)
    claimed(store, job_id, "b")
    stores.advance(LEASE_S + 1)
    lease = claimed(store, job_id, "c")
    stores.advance(1)
    store.complete(lease, a_result(lease), {})

    history = record_of(store, job_id).history

    assert [(attempt.fence, attempt.worker, attempt.code) for attempt in history] == [
        (1, "a", "dependency.unavailable"),
        (2, "b", "image.crashed"),
        (3, "c", None),
    ]
    assert all(attempt.ended_at is not None for attempt in history)
    assert (history[2].started_at - history[1].started_at).total_seconds() == pytest.approx(LEASE_S + 1, abs=1)


def test_a_record_remembers_only_the_latest_attempts(store: JobStore) -> None:
    job_id = accepted(store)
    for _ in range(HISTORY_KEPT + 3):
        store.release(claimed(store, job_id), STORAGE_DOWN, counts=False)

    assert [attempt.fence for attempt in record_of(store, job_id).history] == list(range(4, HISTORY_KEPT + 4))


# --- claims whose answer was lost ------------------------------------------------------------------------------------


def unheard(store: JobStore, job_id: UUID, token: str) -> Lease:
    """A claim whose maker never had this answer."""
    answer = store.claim(job_id, worker="unlucky", token=token)
    assert isinstance(answer, Lease), answer
    return answer


def test_a_claim_made_again_finds_its_own_lease_and_counts_once(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    first = unheard(store, job_id, "t1")
    stores.advance(LEASE_S - 1)

    again = store.claim(job_id, worker="unlucky", token="t1")

    assert isinstance(again, Lease)
    assert again.fence == first.fence
    assert record_of(store, job_id).attempts == 1


def test_one_claim_sent_ten_times_at_once_is_one_attempt(store: JobStore) -> None:
    job_id = accepted(store)

    answers = at_once(10, lambda: store.claim(job_id, worker="worker-1", token="t1"))

    assert [answer.fence for answer in answers] == [1] * 10
    assert record_of(store, job_id).attempts == 1


def test_a_withdrawn_claim_is_no_attempt_and_its_job_can_be_claimed_at_once(store: JobStore) -> None:
    job_id = accepted(store)
    unheard(store, job_id, "t1")

    store.withdraw(job_id, "t1")

    record = record_of(store, job_id)
    assert (record.status, record.attempts, record.lease_until) == (JobStatus.QUEUED, 0, None)
    assert [(attempt.worker, attempt.code) for attempt in record.history] == [("unlucky", "dependency.unavailable")]
    assert claimed(store, job_id).record.attempts == 1


def test_a_claim_is_withdrawn_once_however_often_it_is_asked(store: JobStore) -> None:
    job_id = accepted(store)
    store.release(claimed(store, job_id), WORKER_CRASHED, counts=True)
    unheard(store, job_id, "t1")
    store.withdraw(job_id, "t1")
    before = record_of(store, job_id)

    store.withdraw(job_id, "t1")

    assert record_of(store, job_id) == before
    assert before.attempts == 1


def test_a_job_whose_claims_are_all_lost_never_fails_for_it(store: JobStore, stores: JobStores) -> None:
    job_id = accepted(store)
    for number in range(3 * HISTORY_KEPT):
        unheard(store, job_id, f"t{number}")
        store.withdraw(job_id, f"t{number}")

    lease = claimed(store, job_id)

    assert lease.record.attempts == 1
    assert len(lease.record.history) == HISTORY_KEPT + 1


def noticed_by_nobody(store: JobStore, job_id: UUID) -> None:
    pass


def noticed_by_a_claim(store: JobStore, job_id: UUID) -> None:
    claimed(store, job_id, "worker-2")


def noticed_by_a_claim_of_a_worker_that_gave_it_back(store: JobStore, job_id: UUID) -> None:
    store.release(claimed(store, job_id, "worker-2"), STORAGE_DOWN, counts=False)


def noticed_by_a_dead_letter(store: JobStore, job_id: UUID) -> None:
    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.EMIT


def noticed_by_the_sweep(store: JobStore, job_id: UUID) -> None:
    assert [each.step for each in store.recover_overdue(limit=10, error=WORKER_CRASHED)] == [NextStep.EMIT]


@pytest.mark.parametrize(
    ("notice", "others"),
    [
        (noticed_by_nobody, 0),
        (noticed_by_a_claim, 1),
        (noticed_by_a_claim_of_a_worker_that_gave_it_back, 0),
        (noticed_by_a_dead_letter, 0),
        (noticed_by_the_sweep, 0),
    ],
)
def test_a_claim_that_is_withdrawn_after_its_lease_ran_out_does_not_count_either(
    store: JobStore, stores: JobStores, notice: Callable[[JobStore, UUID], None], others: int
) -> None:
    job_id = accepted(store)
    unheard(store, job_id, "t1")
    stores.advance(LEASE_S + 1)
    notice(store, job_id)
    before = record_of(store, job_id)

    store.withdraw(job_id, "t1")

    record = record_of(store, job_id)
    assert record.attempts == others
    assert record.history[0].code == "dependency.unavailable"
    assert record.history[0].worker == "unlucky"
    assert record.error is None or record.error.code == "dependency.unavailable"
    if notice is not noticed_by_nobody:
        assert (record.status, record.fence, record.lease_until) == (before.status, before.fence, before.lease_until)
        assert record.history[1:] == before.history[1:]
    else:
        assert record.status is JobStatus.QUEUED


def test_three_claims_that_are_lost_for_longer_than_their_leases_leave_three_attempts(
    store: JobStore, stores: JobStores
) -> None:
    job_id = accepted(store)
    for number in range(2):
        unheard(store, job_id, f"t{number}")
        stores.advance(LEASE_S + 1)
    unheard(store, job_id, "t2")
    for number in range(3):
        store.withdraw(job_id, f"t{number}")

    for attempt in range(1, 4):
        assert claimed(store, job_id).record.attempts == attempt
        stores.advance(LEASE_S + 1)

    assert isinstance(store.claim(job_id, worker="worker-1"), AttemptsSpent)


def test_a_lost_claim_that_nobody_withdraws_counts_as_the_attempt_of_a_dead_worker(
    store: JobStore, stores: JobStores
) -> None:
    """Its process died before it could, like one that its picture killed at once."""
    job_id = accepted(store)
    for number in range(3):
        unheard(store, job_id, f"t{number}")
        stores.advance(LEASE_S + 1)

    answer = store.claim(job_id, worker="worker-1")

    assert isinstance(answer, AttemptsSpent)
    assert [attempt.code for attempt in answer.record.history] == ["image.crashed"] * 3


def test_a_claim_that_arrives_after_it_was_withdrawn_begins_nothing(store: JobStore) -> None:
    """It lay in a socket's buffer while its maker gave up."""
    job_id = accepted(store)
    store.withdraw(job_id, "t1")
    before = record_of(store, job_id)

    with pytest.raises(DependencyUnavailableError, match="too late"):
        store.claim(job_id, worker="unlucky", token="t1")

    assert record_of(store, job_id) == before
    assert claimed(store, job_id).record.attempts == 1


def given_back(store: JobStore, stores: JobStores, lease: Lease) -> None:
    store.release(lease, STORAGE_DOWN, counts=False)


def run_out(store: JobStore, stores: JobStores, lease: Lease) -> None:
    stores.advance(LEASE_S + 1)


def run_out_and_swept(store: JobStore, stores: JobStores, lease: Lease) -> None:
    run_out(store, stores, lease)
    noticed_by_the_sweep(store, lease.job_id)


@pytest.mark.parametrize("end", [given_back, run_out, run_out_and_swept])
def test_a_copy_of_a_claim_that_arrives_after_its_lease_ended_begins_nothing_and_counts_nothing(
    store: JobStore, stores: JobStores, end: Callable[[JobStore, JobStores, Lease], None]
) -> None:
    lease = unheard(store, accepted(store), "t1")
    end(store, stores, lease)

    with pytest.raises(DependencyUnavailableError, match="too late"):
        store.claim(lease.job_id, worker="unlucky", token="t1")

    after = record_of(store, lease.job_id)
    assert (after.status, after.attempts, after.fence) == (JobStatus.QUEUED, 0, lease.fence)
    assert claimed(store, lease.job_id).record.attempts == 1


def test_a_copy_of_a_claim_that_arrives_while_another_worker_has_the_job_leaves_it_alone(
    store: JobStore, stores: JobStores
) -> None:
    lost = unheard(store, accepted(store), "t1")
    stores.advance(LEASE_S + 1)
    lease = claimed(store, lost.job_id)

    with pytest.raises(DependencyUnavailableError, match="too late"):
        store.claim(lost.job_id, worker="unlucky", token="t1")

    record = record_of(store, lost.job_id)
    assert (record.status, record.attempts, record.fence) == (JobStatus.PROCESSING, 1, lease.fence)
    assert store.renew(lease) is Outcome.DONE


def test_withdrawing_a_claim_leaves_another_workers_lease_alone(store: JobStore) -> None:
    lease = claimed(store, accepted(store))
    before = record_of(store, lease.job_id)

    store.withdraw(lease.job_id, "t1")

    assert record_of(store, lease.job_id) == before
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE


@pytest.mark.parametrize("end", [complete, fail])
def test_withdrawing_a_claim_of_an_ended_job_changes_nothing(
    store: JobStore, stores: JobStores, end: Callable[[JobStore, Lease], str]
) -> None:
    job_id = accepted(store)
    unheard(store, job_id, "t1")
    stores.advance(LEASE_S + 1)
    end(store, claimed(store, job_id))
    before = record_of(store, job_id)

    store.withdraw(job_id, "t1")
    store.withdraw(uuid.uuid4(), "t1")

    assert record_of(store, job_id) == before


def test_withdrawing_a_claim_of_before_a_redrive_takes_no_attempt_from_the_time_after(
    store: JobStore, stores: JobStores
) -> None:
    job_id = accepted(store)
    unheard(store, job_id, "t1")
    stores.advance(LEASE_S + 1)
    fail(store, claimed(store, job_id))
    store.redrive(job_id)
    claimed(store, job_id)

    store.withdraw(job_id, "t1")

    assert record_of(store, job_id).attempts == 1


# --- redriving -------------------------------------------------------------------------------------------------------


def test_a_redriven_job_is_done_anew_under_its_id_with_its_history(store: JobStore, stores: JobStores) -> None:
    job_id = given_up(store, stores).lease.job_id
    before = record_of(store, job_id)

    recovered = store.redrive(job_id, parameters={"width": 50})

    record = recovered.record
    assert record is not None
    assert record == record_of(store, job_id)
    assert (record.status, record.attempts, record.redrives) == (JobStatus.QUEUED, 0, 1)
    assert (record.error, record.finished_at) == (None, None)
    assert record.parameters == {"width": 50}
    assert record.history == before.history
    assert record.event_id() not in {f"{job_id}.{number}" for number in range(before.emissions + 1)}
    lease = claimed(store, job_id)
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE


def test_a_redrive_without_parameters_keeps_them(store: JobStore, stores: JobStores) -> None:
    job_id = failed(store, stores).lease.job_id
    before = record_of(store, job_id).parameters

    store.redrive(job_id)

    assert record_of(store, job_id).parameters == before


def test_of_many_redrives_at_once_one_does_anything(store: JobStore, stores: JobStores) -> None:
    job_id = given_up(store, stores).lease.job_id

    steps = at_once(10, lambda: store.redrive(job_id).step)

    assert Counter(steps) == {NextStep.EMIT: 1, NextStep.NOTHING: 9}
    assert record_of(store, job_id).redrives == 1


def test_a_redriven_job_that_nobody_emits_is_found_by_the_sweep(store: JobStore, stores: JobStores) -> None:
    job_id = given_up(store, stores).lease.job_id
    store.kept(job_id)
    redriven = store.redrive(job_id).record
    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)

    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert redriven is not None
    assert recovered.record is not None
    assert (recovered.step, recovered.record.event_id()) == (NextStep.EMIT, redriven.event_id())


def test_a_redriven_job_has_all_its_attempts_and_emissions_again(stores: JobStores) -> None:
    store = stores.make(max_emissions=2)
    job_id = accepted(store)
    store.emitted(job_id, 1)
    while store.recover(job_id, WORKER_CRASHED).step is not NextStep.FAILED:
        stores.advance(7200)
        store.recover_overdue(limit=10, error=WORKER_CRASHED)
    store.redrive(job_id)

    assert store.recover(job_id, WORKER_CRASHED).step is NextStep.EMIT
    for _ in range(3):
        claimed(store, job_id)
        stores.advance(LEASE_S + 1)
    assert isinstance(store.claim(job_id, worker="worker-2"), AttemptsSpent)


def test_a_worker_of_before_the_redrive_is_refused(store: JobStore, stores: JobStores) -> None:
    old = failed(store, stores).lease
    store.redrive(old.job_id)

    assert store.fail(old, WORKER_CRASHED)[0] is Outcome.STALE
    assert store.complete(old, a_result(old), {})[0] is Outcome.STALE
    assert record_of(store, old.job_id).status is JobStatus.QUEUED


# --- reading ---------------------------------------------------------------------------------------------------------


def test_an_unknown_job_is_none(store: JobStore) -> None:
    assert store.get(uuid.uuid4()) is None
    assert isinstance(store.claim(uuid.uuid4(), worker="worker-1"), Unknown)


def test_the_backlog_counts_unfinished_jobs_and_knows_the_oldest(store: JobStore, stores: JobStores) -> None:
    assert store.backlog().by_status == {JobStatus.QUEUED: 0, JobStatus.PROCESSING: 0}
    assert store.backlog().oldest_age_s == 0
    oldest = claimed(store, accepted(store))
    stores.advance(5)
    for _ in range(3):
        accepted(store)

    backlog = store.backlog()
    assert backlog.by_status == {JobStatus.QUEUED: 3, JobStatus.PROCESSING: 1}
    assert backlog.oldest_age_s == pytest.approx(5, abs=1)

    store.complete(oldest, a_result(oldest), {})
    backlog = store.backlog()
    assert backlog.by_status == {JobStatus.QUEUED: 3, JobStatus.PROCESSING: 0}
    assert backlog.oldest_age_s < 5


def test_a_store_that_answers_passes_its_check(store: JobStore) -> None:
    store.check()


def test_an_ended_job_is_final_to_whoever_claims_it(store: JobStore, stores: JobStores) -> None:
    lease = completed(store, stores).lease

    answer = store.claim(lease.job_id, worker="worker-2")

    assert isinstance(answer, AlreadyFinal)
    assert answer.record == store.get(lease.job_id)


def at_once(threads: int, call: Callable[[], Any]) -> list[Any]:
    """What the call answered in each of so many threads that were let go together."""
    barrier = threading.Barrier(threads)

    def run() -> Any:
        barrier.wait(timeout=10)
        return call()

    with ThreadPoolExecutor(threads) as pool:
        return [future.result(timeout=30) for future in [pool.submit(run) for _ in range(threads)]]


def claims_at_once(store: JobStore, job_id: UUID) -> list[ClaimAnswer]:
    return at_once(10, lambda: store.claim(job_id, worker=threading.current_thread().name))
