"""What every job store promises of cancelling and erasing: held against Redis and against the fake."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from darkroom.adapters.jobs import AlreadyFinal, JobStore, KeptJob, Lease, NextStep, Outcome, Restoration, Unknown
from darkroom.adapters.jobs.admission import BacklogLimits
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract import metrics
from darkroom.contract.errors import (
    IdempotencyMismatchError,
    ImageCorruptError,
    ImageCrashedError,
    InputNotFoundError,
    QuotaExceededError,
)
from darkroom.contract.jobs import JobRecord, JobStatus
from tests.contract.job_stores import (
    STORES,
    JobStores,
    MemoryJobStores,
    RedisJobStores,
    a_result,
    new_job,
    stores_named,
)

CRASHED = ImageCrashedError("the worker ended without reporting")
OWNER = "key-1"
TIMES = JobTimes()
KEPT = ("darkroom:erased:", "darkroom:erasure-key", "darkroom:statistics", "darkroom:drained:")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def redis_stores(request: pytest.FixtureRequest) -> Iterator[RedisJobStores]:
    made = RedisJobStores(request.getfixturevalue("redis").url)
    yield made
    made.close()


@dataclass
class Scene:
    """A store whose window has room for one job."""

    stores: JobStores
    store: JobStore

    def accept(self, **changes: Any) -> UUID:
        return self.store.accept(new_job(**changes)).record.job_id

    def claim(self, job_id: UUID) -> Lease:
        answer = self.store.claim(job_id, worker="worker-1")
        assert isinstance(answer, Lease), answer
        return answer

    def give_up(self, job_id: UUID) -> None:
        for _ in range(3):
            self.claim(job_id)
            self.stores.advance(60)
        assert [each.step for each in self.store.recover_overdue(limit=10, error=CRASHED)] == [NextStep.FAILED]


@pytest.fixture
def scene(stores: JobStores) -> Scene:
    return Scene(stores, stores.make(broker_window=1))


# --- every state


def waiting(scene: Scene) -> UUID:
    scene.accept(owner="another")
    return scene.accept(idempotency_key="k")


def queued(scene: Scene) -> UUID:
    return scene.accept(idempotency_key="k")


def emitted(scene: Scene) -> UUID:
    job_id = queued(scene)
    scene.store.emitted(job_id, 1)
    return job_id


def processing(scene: Scene) -> UUID:
    job_id = emitted(scene)
    scene.claim(job_id)
    return job_id


def abandoned(scene: Scene) -> UUID:
    job_id = processing(scene)
    scene.stores.advance(60)
    return job_id


def redriven(scene: Scene) -> UUID:
    job_id = given_up(scene)
    scene.store.kept(job_id)
    scene.store.redrive(job_id)
    return job_id


def completed(scene: Scene) -> UUID:
    job_id = emitted(scene)
    lease = scene.claim(job_id)
    scene.store.complete(lease, a_result(lease), {"render": 1})
    return job_id


def failed(scene: Scene) -> UUID:
    job_id = emitted(scene)
    scene.store.fail(scene.claim(job_id), ImageCorruptError("bad"))
    return job_id


def given_up(scene: Scene) -> UUID:
    job_id = emitted(scene)
    scene.give_up(job_id)
    return job_id


def cancelled(scene: Scene) -> UUID:
    job_id = emitted(scene)
    scene.store.cancel(job_id, owner=OWNER)
    return job_id


UNFINISHED: list[Callable[[Scene], UUID]] = [waiting, queued, emitted, processing, abandoned, redriven]
FINAL: list[Callable[[Scene], UUID]] = [completed, failed, given_up, cancelled]


def counts(store: JobStore) -> dict[str, float]:
    """How many jobs were taken in, ended, and are neither."""
    readings = store.statistics()
    totals = {
        metric.name: sum(float(value) for value in readings[metric].values())  # type: ignore[arg-type, misc]
        for metric in (metrics.JOBS_ACCEPTED, metrics.JOBS_REDRIVEN, metrics.JOBS_ENDED, metrics.JOBS_UNFINISHED)
    }
    return {
        "taken in": totals[metrics.JOBS_ACCEPTED.name] + totals[metrics.JOBS_REDRIVEN.name],
        "ended or there": totals[metrics.JOBS_ENDED.name] + totals[metrics.JOBS_UNFINISHED.name],
        "unfinished": totals[metrics.JOBS_UNFINISHED.name],
    }


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_job_that_is_not_final_is_cancelled(scene: Scene, state: Callable[[Scene], UUID]) -> None:
    job_id = state(scene)
    others = 1 if state is waiting else 0
    answer = scene.store.cancel(job_id, owner=OWNER)
    assert isinstance(answer, Cancelled)
    record = scene.store.get(job_id)
    assert record == answer.record.model_copy(update={"makes_room": False})
    assert record is not None
    assert (record.status, record.error and record.error.code) == (JobStatus.FAILED, "job.cancelled")
    assert scene.store.claim(job_id, worker="late") == AlreadyFinal(record=record)
    assert scene.store.recover_overdue(limit=10, error=CRASHED) == [], "nobody gave it up"
    found = counts(scene.store)
    assert found["unfinished"] == others == sum(scene.store.backlog().by_status.values())
    assert found["taken in"] == found["ended or there"]


@pytest.mark.parametrize("state", FINAL)
def test_a_job_that_is_final_is_not_cancelled(scene: Scene, state: Callable[[Scene], UUID]) -> None:
    job_id = state(scene)
    before = scene.store.get(job_id)
    assert before is not None
    assert scene.store.cancel(job_id, owner=OWNER) == AlreadyFinal(record=before)
    assert scene.store.get(job_id) == before


@pytest.mark.parametrize("state", [*UNFINISHED, *FINAL])
def test_nothing_is_known_of_an_erased_job(scene: Scene, state: Callable[[Scene], UUID]) -> None:
    job_id = state(scene)
    others = 1 if state is waiting else 0
    answer = scene.store.erase(job_id, owner=OWNER)
    assert isinstance(answer, Erased)
    assert (answer.record is not None) == (state in UNFINISHED)

    assert scene.store.get(job_id) is None
    assert scene.store.list_jobs(OWNER).records == []
    assert isinstance(scene.store.claim(job_id, worker="late"), Erased)
    assert scene.store.cancel(job_id, owner=OWNER) == Unknown()
    assert scene.store.redrive(job_id).step is NextStep.NOTHING
    assert scene.store.recover(job_id, CRASHED).record is None
    scene.stores.advance(3600)
    overdue = [each.record for each in scene.store.recover_overdue(limit=10, error=CRASHED)]
    assert job_id not in {record.job_id for record in overdue if record is not None}
    assert job_id not in {record.job_id for record in scene.store.next_in_line(limit=10)}
    found = counts(scene.store)
    assert found["unfinished"] == others == sum(scene.store.backlog().by_status.values())
    assert found["taken in"] == found["ended or there"]
    assert scene.store.statistics()[metrics.JOBS_GIVEN_UP][()] == 0


@pytest.mark.parametrize("state", [*UNFINISHED, *FINAL])
def test_redis_keeps_nothing_but_a_tombstone(redis_stores: RedisJobStores, state: Callable[[Scene], UUID]) -> None:
    scene = Scene(redis_stores, redis_stores.make(broker_window=1))
    job_id = state(scene)
    scene.store.erase(job_id, owner=OWNER)
    finish_erasures(scene)
    for key in redis_stores.client.scan_iter("*"):
        found = f"{key} {dumped(redis_stores.client, key)}"
        assert str(job_id) not in found
        assert state is waiting or key.startswith(KEPT), found


def dumped(client: Redis, key: str) -> str:
    readers: dict[str, Callable[[], object]] = {
        "string": lambda: client.get(key),
        "hash": lambda: client.hgetall(key),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1),
    }
    return repr(readers[str(client.type(key))]())


def finish_erasures(scene: Scene) -> list[Erasure]:
    handed_out = []
    for _ in range(3):
        for erasure in scene.store.due_erasures(limit=10):
            handed_out.append(erasure)
            scene.store.erasure_done(erasure)
        scene.stores.advance(TIMES.erase_again_after_s)
    return handed_out


# --- races


def test_a_worker_whose_job_was_cancelled_is_refused(scene: Scene) -> None:
    job_id = emitted(scene)
    lease = scene.claim(job_id)
    scene.store.cancel(job_id, owner=OWNER)
    outcome, record = scene.store.complete(lease, a_result(lease), {})
    assert outcome is Outcome.STALE
    assert record is not None
    assert record.result is None
    assert [attempt.code for attempt in record.history] == ["job.cancelled"]
    assert scene.store.fail(lease, CRASHED)[0] is Outcome.STALE
    assert scene.store.renew(lease) is Outcome.STALE
    assert scene.store.release(lease, CRASHED, counts=True) is Outcome.STALE


def test_a_worker_whose_job_was_erased_is_refused(scene: Scene) -> None:
    job_id = emitted(scene)
    lease = scene.claim(job_id)
    scene.store.erase(job_id, owner=OWNER)
    assert scene.store.complete(lease, a_result(lease), {}) == (Outcome.STALE, None)
    assert scene.store.fail(lease, CRASHED) == (Outcome.STALE, None)
    assert scene.store.renew(lease) is Outcome.STALE
    assert scene.store.release(lease, CRASHED, counts=True) is Outcome.STALE
    scene.store.emitted(job_id, 1)
    scene.store.kept(job_id)
    assert scene.store.get(job_id) is None


@pytest.mark.parametrize("erased", [False, True])
def test_a_result_that_is_stored_too_late_is_erased_however_late_it_is(scene: Scene, erased: bool) -> None:
    job_id = emitted(scene)
    lease = scene.claim(job_id)
    if erased:
        scene.store.erase(job_id, owner=OWNER)
    else:
        scene.store.cancel(job_id, owner=OWNER)
    finish_erasures(scene)
    scene.stores.advance(3600)
    assert scene.store.due_erasures(limit=10) == []
    scene.store.complete(lease, a_result(lease), {})
    (erasure,) = scene.store.due_erasures(limit=10)
    assert (erasure.job_id, erasure.only_results, erasure.original) == (job_id, not erased, None)


def a_claim(store: JobStore, lease: Lease) -> None:
    assert isinstance(store.claim(lease.job_id, worker="w"), Erased)


def an_error(store: JobStore, lease: Lease) -> None:
    assert store.fail(lease, CRASHED) == (Outcome.STALE, None)


def a_release(store: JobStore, lease: Lease) -> None:
    assert store.release(lease, CRASHED, counts=True) is Outcome.STALE


def a_renewal(store: JobStore, lease: Lease) -> None:
    assert store.renew(lease) is Outcome.STALE


def a_dead_letter(store: JobStore, lease: Lease) -> None:
    assert store.recover(lease.job_id, CRASHED).step is NextStep.NOTHING


@pytest.mark.parametrize("what_comes", [a_claim, an_error, a_release, a_renewal, a_dead_letter])
def test_what_comes_of_a_job_after_its_erasure_has_it_erased_again(
    scene: Scene, what_comes: Callable[[JobStore, Lease], None]
) -> None:
    """Its delivery is in the record of events, and in a log."""
    lease = scene.claim(emitted(scene))
    scene.store.erase(lease.job_id, owner=OWNER)
    finish_erasures(scene)
    scene.stores.advance(3600)
    assert scene.store.due_erasures(limit=10) == []
    what_comes(scene.store, lease)
    erasures = finish_erasures(scene)
    assert [(each.job_id, each.only_results) for each in erasures] == [(lease.job_id, False)] * 2


def test_what_comes_of_an_unknown_job_erases_nothing(scene: Scene) -> None:
    assert isinstance(scene.store.claim(uuid.uuid4(), worker="w"), Unknown)
    assert scene.store.due_erasures(limit=10) == []


def test_a_completed_job_has_nothing_to_be_erased(scene: Scene) -> None:
    completed(scene)
    assert scene.store.due_erasures(limit=10) == []


def test_erasing_twice_is_erasing_once(scene: Scene) -> None:
    job_id = completed(scene)
    assert scene.store.erase(job_id, owner=OWNER) == Erased()
    assert scene.store.erase(job_id, owner=OWNER) == Erased()
    assert len(scene.store.due_erasures(limit=10)) == 1


@pytest.mark.parametrize("state", [queued, processing, completed])
def test_another_owner_finds_no_job(scene: Scene, state: Callable[[Scene], UUID]) -> None:
    job_id = state(scene)
    before = scene.store.get(job_id)
    for owner in ("another", ""):
        assert scene.store.cancel(job_id, owner=owner) == Unknown()
        assert scene.store.erase(job_id, owner=owner) == Unknown()
    assert scene.store.get(job_id) == before
    scene.store.erase(job_id, owner=OWNER)
    assert scene.store.erase(job_id, owner="another") == Unknown(), "a tombstone is its owner's alone"
    assert scene.store.erase(uuid.uuid4(), owner=OWNER) == Unknown()


def test_a_cancelled_job_is_not_redriven(scene: Scene) -> None:
    """Its first end as a dead letter may still be kept."""
    job_id = redriven(scene)
    scene.store.cancel(job_id, owner=OWNER)
    assert scene.store.redrive(job_id).step is NextStep.NOTHING


@pytest.mark.parametrize("erases", [False, True])
def test_the_room_that_is_left_is_handed_on(scene: Scene, erases: bool) -> None:
    first, second = scene.accept(), scene.accept()
    record: JobRecord | None
    if erases:
        answer = scene.store.erase(first, owner=OWNER)
        assert isinstance(answer, Erased)
        record = answer.record
    else:
        cancelling = scene.store.cancel(first, owner=OWNER)
        assert isinstance(cancelling, Cancelled)
        record = cancelling.record
    assert record is not None
    assert record.makes_room
    assert [job.job_id for job in scene.store.next_in_line(limit=10)] == [second]


@pytest.mark.parametrize("erases", [False, True])
def test_the_quota_counts_no_job_that_is_gone(stores: JobStores, erases: bool) -> None:
    store = stores.make(limits=BacklogLimits(quota=1))
    job_id = store.accept(new_job()).record.job_id
    with pytest.raises(QuotaExceededError):
        store.accept(new_job())
    if erases:
        store.erase(job_id, owner=OWNER)
    else:
        store.cancel(job_id, owner=OWNER)
    assert store.accept(new_job()).created


# --- what it leaves, and what it frees


def test_an_idempotency_key_is_free_once_its_job_is_erased(scene: Scene) -> None:
    for key in ("k", hashlib.sha256(b"a request's").hexdigest(), hashlib.sha256(b"k").hexdigest()):
        first = scene.accept(idempotency_key=key)
        assert scene.accept(idempotency_key=key) == first
        scene.store.erase(first, owner=OWNER)
        again = scene.store.accept(new_job(idempotency_key=key, fingerprint="another"))
        assert again.created
        assert again.record.job_id != first


def test_an_id_that_was_erased_is_not_used_again(scene: Scene) -> None:
    """Senders of events choose ids. What is still to be erased must not hit a new job."""
    job_id = completed(scene)
    scene.store.erase(job_id, owner=OWNER)
    with pytest.raises(IdempotencyMismatchError):
        scene.store.accept(new_job(job_id=job_id))
    assert scene.store.is_erased(job_id)
    assert not scene.store.is_erased(uuid.uuid4())


def test_an_erasure_is_handed_out_to_one_sweep_and_again_if_that_dies(scene: Scene) -> None:
    job_id = completed(scene)
    scene.store.erase(job_id, owner=OWNER)
    (erasure,) = scene.store.due_erasures(limit=10)
    assert (erasure.job_id, erasure.only_results) == (job_id, False)
    assert erasure.original == f"uploads/{job_id}/original.jpg"
    assert scene.store.due_erasures(limit=10) == []
    scene.stores.advance(TIMES.erase_within_s)
    (again,) = scene.store.due_erasures(limit=10)
    scene.store.erasure_done(erasure)
    scene.stores.advance(TIMES.erase_within_s)
    (third,) = scene.store.due_erasures(limit=10)
    assert third.original == again.original, "the slow sweep's word does not count"
    scene.store.erasure_done(third)
    scene.store.erasure_done(third)
    scene.stores.advance(3600)
    assert scene.store.due_erasures(limit=10) == []


def test_everything_is_erased_twice(scene: Scene) -> None:
    job_id = processing(scene)
    scene.store.erase(job_id, owner=OWNER)
    assert [erasure.job_id for erasure in finish_erasures(scene)] == [job_id] * 2


# --- originals


def test_an_original_goes_with_the_last_job_that_uses_it(scene: Scene) -> None:
    upload = "uploads/key-1/d4c1/original"
    first, second, third = (scene.accept(storage_key=upload) for _ in range(3))
    for job_id, expected in ((second, None), (first, None), (third, upload)):
        scene.store.erase(job_id, owner=OWNER)
        assert originals(scene)[job_id] == expected


def test_an_original_under_an_operators_input_prefix_is_never_erased(scene: Scene) -> None:
    job_id = scene.accept(storage_key="library/2019/a.png")
    scene.store.erase(job_id, owner=OWNER)
    assert originals(scene)[job_id] is None


def test_anothers_original_stays_while_either_is_there(scene: Scene) -> None:
    maker = scene.accept()
    original = f"uploads/{maker}/original.jpg"
    user, last = scene.accept(storage_key=original), scene.accept(storage_key=original)
    scene.store.erase(user, owner=OWNER)
    assert originals(scene)[user] is None, "its maker has it"
    scene.store.erase(maker, owner=OWNER)
    assert originals(scene)[maker] is None, "another uses it"
    scene.store.erase(last, owner=OWNER)
    assert originals(scene)[last] == original


def test_a_picture_that_is_an_overlay_of_another_job_stays(scene: Scene) -> None:
    upload = "uploads/key-1/d4c1/original"
    first = scene.accept(storage_key=upload)
    overlay = {"overlay": {"storage_key": upload, "scale": 0.2}}
    second = scene.accept(parameters={"renditions": {"hero": {"type": "resize", "parameters": overlay}}})
    scene.store.erase(first, owner=OWNER)
    assert originals(scene)[first] is None
    scene.store.erase(second, owner=OWNER)
    assert originals(scene)[second] == f"uploads/{second}/original.jpg", "an overlay is nobody's original"


def test_an_operators_pictures_are_never_erased(scene: Scene) -> None:
    job_id = scene.accept(storage_key="catalogue/1.jpg")
    scene.store.erase(job_id, owner=OWNER)
    assert originals(scene)[job_id] is None


def test_nobody_refers_to_an_original_that_is_being_erased(scene: Scene) -> None:
    upload = "uploads/key-1/d4c1/original"
    scene.store.erase(scene.accept(storage_key=upload), owner=OWNER)
    with pytest.raises(InputNotFoundError):
        scene.accept(storage_key=upload)


def originals(scene: Scene) -> dict[UUID, str | None]:
    scene.stores.advance(TIMES.erase_again_after_s)
    return {erasure.job_id: erasure.original for erasure in scene.store.due_erasures(limit=100)}


# --- restoring


def test_a_restore_brings_no_erased_job_back(scene: Scene) -> None:
    made = new_job(idempotency_key="k")
    scene.store.accept(made)
    scene.store.erase(made.job_id, owner=OWNER)
    kept = KeptJob(new=made, created_at=datetime.now(UTC))
    assert scene.store.without_record([made.job_id]) == set()
    assert scene.store.restore([kept]) == [Restoration.EXISTS]
    assert scene.store.get(made.job_id) is None


def test_a_restored_job_is_erased_like_any_other(scene: Scene) -> None:
    upload = "uploads/key-1/d4c1/original"
    first, second = (new_job(storage_key=upload, idempotency_key=f"k{number}") for number in range(2))
    for made in (first, second):
        scene.store.restore([KeptJob(new=made, created_at=datetime.now(UTC))])
    for made, expected in ((first, None), (second, upload)):
        assert isinstance(scene.store.erase(made.job_id, owner=OWNER), Erased)
        assert originals(scene)[made.job_id] == expected
        assert scene.store.accept(new_job(idempotency_key=made.idempotency_key)).created


def test_a_keeper_that_is_owed_is_not_written_after_the_erasure(scene: Scene) -> None:
    job_id = completed(scene)
    scene.store.owe_keeper(job_id, b"{}")
    scene.store.erase(job_id, owner=OWNER)
    assert scene.store.owed_keepers(limit=10) == {}


# --- Redis


def test_a_tombstone_is_keyed_and_expires(redis_stores: RedisJobStores) -> None:
    store, client = redis_stores.make(), redis_stores.client
    job_id = store.accept(new_job()).record.job_id
    store.erase(job_id, owner=OWNER)
    key = str(client.get("darkroom:erasure-key")).encode()

    def digest(text: str) -> str:
        return hmac.new(key, text.encode(), hashlib.sha1).hexdigest()

    name = f"darkroom:erased:{digest(str(job_id))}"
    assert client.get(name) == digest(f"{job_id} {OWNER}")
    day_ms = TIMES.tombstone_kept_s * 1000
    assert day_ms - 60_000 < int(str(client.pttl(name))) <= day_ms
    assert day_ms < int(str(client.pttl("darkroom:erasure-key"))) <= day_ms + 60_000

    client.delete(name)
    assert store.claim(job_id, worker="w") == Unknown()
    assert store.erase(job_id, owner=OWNER) == Unknown()


def test_a_tombstone_of_the_fake_lasts_a_day() -> None:
    stores = MemoryJobStores()
    store = stores.make()
    job_id = store.accept(new_job()).record.job_id
    store.erase(job_id, owner=OWNER)
    stores.advance(TIMES.tombstone_kept_s - 1)
    assert store.is_erased(job_id)
    stores.advance(1)
    assert not store.is_erased(job_id)
    assert store.erase(job_id, owner=OWNER) == Unknown()


def test_the_uses_of_a_picture_expire_with_the_records(redis_stores: RedisJobStores) -> None:
    scene = Scene(redis_stores, redis_stores.make())
    upload = "uploads/key-1/d4c1/original"
    used_by = f"darkroom:used-by:{upload}"
    job_id = scene.accept(storage_key=upload)
    assert redis_stores.client.ttl(used_by) == -1, "an unfinished job has no time limit"
    scene.store.fail(scene.claim(job_id), ImageCorruptError("bad"))
    assert TIMES.indexed_s is not None
    assert 0 < int(str(redis_stores.client.ttl(used_by))) <= TIMES.indexed_s
    scene.accept(storage_key=upload)
    assert redis_stores.client.ttl(used_by) == -1


def test_a_record_of_before_bindings_were_kept_is_erased(redis_stores: RedisJobStores) -> None:
    store = redis_stores.make()
    job_id = store.accept(new_job(idempotency_key="k")).record.job_id
    redis_stores.client.hdel(f"darkroom:job:{job_id}", "key")
    assert isinstance(store.erase(job_id, owner=OWNER), Erased)
    assert store.accept(new_job(idempotency_key="k")).created, "a binding whose job is gone binds nothing"
