"""What every job store promises about webhooks that are owed: held against Redis and against the fake."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from redis import Redis

from darkroom.adapters.jobs import AttemptsSpent, JobStore, Lease, NextStep
from darkroom.adapters.jobs.erasing import Cancelled, Erased
from darkroom.adapters.jobs.owed import AT_ONCE_PER_ENDPOINT, SEND_LEASE_S, OwedWebhook, SendOutcome
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract import metrics
from darkroom.contract.errors import DependencyUnavailableError, ImageCorruptError, ImageCrashedError
from darkroom.contract.jobs import JobRecord
from tests.contract.job_stores import STORES, JobStores, RedisJobStores, a_result, new_job, stores_named
from tests.servers import Server

ONE, ANOTHER, ONLY_FAILED = "we_aaaaaaaaaaa1", "we_aaaaaaaaaaa2", "we_aaaaaaaaaaa3"
CORRUPT = ImageCorruptError("not a picture")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make()


def claimed(store: JobStore, webhooks: str = ONE, job_id: UUID | None = None) -> Lease:
    accepted = job_id or store.accept(new_job(webhooks=webhooks)).record.job_id
    lease = store.claim(accepted, worker="worker")
    assert isinstance(lease, Lease)
    return lease


def completed(store: JobStore, webhooks: str = ONE) -> JobRecord:
    lease = claimed(store, webhooks)
    _, record = store.complete(lease, a_result(lease), {"render": 3})
    assert record is not None
    return record


def taken(store: JobStore, endpoint_id: str = ONE) -> OwedWebhook:
    owed = store.owed.take(endpoint_id)
    assert owed is not None
    return owed


def test_an_end_is_owed_to_each_of_the_jobs_endpoints_that_want_it(store: JobStore) -> None:
    record = completed(store, f"{ONE},{ANOTHER}:c,{ONLY_FAILED}:f")
    assert record.told == (ONE, ANOTHER)
    assert store.owed.due() == {ONE: 1, ANOTHER: 1}
    owed = taken(store)
    assert owed.body == record.view()
    assert (owed.webhook_id, owed.job_id, owed.tries) == (record.webhook_id, record.job_id, 0)
    assert taken(store, ANOTHER).webhook_id == owed.webhook_id
    assert store.owed.take(ONLY_FAILED) is None


def test_nothing_is_owed_for_a_job_without_endpoints_or_before_its_end(store: JobStore) -> None:
    completed(store, "")
    lease = claimed(store)
    store.release(lease, ImageCrashedError("crashed"), counts=True)
    assert store.owed.due() == {}
    assert store.owed.of_job(lease.job_id) == []


def test_every_way_to_fail_a_job_owes_its_end(store: JobStore) -> None:
    failed = claimed(store)
    store.fail(failed, CORRUPT)
    assert taken(store).body["error"]["code"] == "image.corrupt"

    spent = store.accept(new_job(webhooks=ANOTHER)).record.job_id
    for _ in range(3):
        store.release(claimed(store, job_id=spent), ImageCrashedError("crashed"), counts=True)
    assert isinstance(store.claim(spent, worker="worker"), AttemptsSpent)
    owed = taken(store, ANOTHER)
    assert (owed.job_id, owed.body["status"]) == (spent, "failed")

    overdue = store.accept(new_job(webhooks=ONLY_FAILED)).record.job_id
    for _ in range(3):
        store.release(claimed(store, job_id=overdue), ImageCrashedError("crashed"), counts=True)
    step = store.recover(overdue, CORRUPT)
    assert step.step is NextStep.FAILED
    assert step.record is not None
    assert step.record.told == (ONLY_FAILED,)
    assert taken(store, ONLY_FAILED).job_id == overdue


def test_an_end_that_is_reported_twice_is_owed_once(store: JobStore) -> None:
    lease = claimed(store)
    store.complete(lease, a_result(lease), {})
    store.owed.settle(taken(store), SendOutcome.TOLD)
    store.complete(lease, a_result(lease), {})
    assert store.owed.due() == {}


def test_what_was_told_is_forgotten_for_that_endpoint_only(store: JobStore) -> None:
    record = completed(store, f"{ONE},{ANOTHER}")
    store.owed.settle(taken(store), SendOutcome.TOLD)
    assert [state.endpoint_id for state in store.owed.of_job(record.job_id)] == [ANOTHER]
    store.owed.settle(taken(store, ANOTHER), SendOutcome.TOLD)
    assert store.owed.of_job(record.job_id) == []


def test_a_failed_try_is_due_again_after_its_delay_with_the_same_id(stores: JobStores, store: JobStore) -> None:
    completed(store)
    first = taken(store)
    store.owed.settle(first, SendOutcome.LATER, error="webhook.timeout", delay_s=300)
    stores.advance(299)
    assert store.owed.take(ONE) is None
    stores.advance(2)
    second = taken(store)
    assert (second.webhook_id, second.body) == (first.webhook_id, first.body)
    assert (second.tries, second.error) == (1, "webhook.timeout")


def test_a_try_that_is_settled_twice_counts_once(stores: JobStores, store: JobStore) -> None:
    completed(store)
    owed = taken(store)
    for _ in range(2):
        store.owed.settle(owed, SendOutcome.LATER, error="webhook.timeout", delay_s=1)
    stores.advance(2)
    assert taken(store).tries == 1


def test_what_a_sender_died_with_is_due_again_when_its_lease_runs_out(stores: JobStores, store: JobStore) -> None:
    completed(store)
    died_with = taken(store)
    assert store.owed.take(ONE) is None, "two senders have the same webhook"
    stores.advance(SEND_LEASE_S + 1)
    again = taken(store)
    assert again.webhook_id == died_with.webhook_id
    store.owed.settle(again, SendOutcome.TOLD)
    store.owed.settle(died_with, SendOutcome.LATER, error="webhook.timeout")
    assert store.owed.due() == {}, "a sender that came back undid what another has done"


def test_of_two_senders_at_once_each_webhook_has_one(store: JobStore) -> None:
    """Each sender sends until nothing is left, as `notify` does."""
    told, lock = [], threading.Lock()
    ids = {completed(store).webhook_id for _ in range(30)}

    def drain() -> None:
        while (owed := store.owed.take(ONE)) is not None:
            with lock:
                told.append(owed.webhook_id)
            store.owed.settle(owed, SendOutcome.TOLD)

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(drain) for _ in range(3)]:
            future.result()
    assert sorted(told) == sorted(ids)


def test_a_slow_endpoint_has_a_bounded_number_of_tries_under_way(stores: JobStores, store: JobStore) -> None:
    for _ in range(AT_ONCE_PER_ENDPOINT + 2):
        completed(store, f"{ONE},{ANOTHER}")
    slow = [taken(store) for _ in range(AT_ONCE_PER_ENDPOINT)]
    assert store.owed.take(ONE) is None
    assert store.owed.take(ANOTHER) is not None, "a slow endpoint holds up another"
    store.owed.settle(slow[0], SendOutcome.LATER, error="webhook.timeout", delay_s=5)
    assert store.owed.take(ONE) is not None
    stores.advance(SEND_LEASE_S + 1)
    assert store.owed.take(ONE) is not None, "senders that died hold their places"


def test_what_is_given_up_is_handed_out_until_it_is_kept(stores: JobStores) -> None:
    store = stores.make(times=JobTimes(keep_within_s=60))
    record = completed(store)
    store.owed.settle(taken(store), SendOutcome.GIVEN_UP, error="webhook.answered")
    assert store.owed.due() == {}
    (letter,) = store.owed.given_up(limit=10)
    assert (letter.webhook_id, letter.error, letter.tries) == (record.webhook_id, "webhook.answered", 1)
    assert letter.body == record.view()
    assert store.owed.of_job(record.job_id)[0].next_try_at is None
    assert store.owed.given_up(limit=10) == []
    stores.advance(61)
    assert store.owed.given_up(limit=10) == [letter], "whoever was to keep it died, and it is lost"
    store.owed.kept(letter)
    stores.advance(61)
    assert store.owed.given_up(limit=10) == []
    assert store.owed.of_job(record.job_id) == []


def test_a_redriven_webhook_is_owed_anew_with_its_id_and_all_its_tries(store: JobStore) -> None:
    record = completed(store)
    store.owed.settle(taken(store), SendOutcome.GIVEN_UP, error="webhook.answered")
    (letter,) = store.owed.given_up(limit=1)
    store.owed.kept(letter)
    assert store.owed.owe_again(letter.webhook_id, letter.endpoint_id, letter.body)
    assert not store.owed.owe_again(letter.webhook_id, letter.endpoint_id, letter.body)
    again = taken(store)
    assert (again.webhook_id, again.tries, again.body) == (record.webhook_id, 0, record.view())


def test_a_redriven_job_that_ends_again_is_another_end(store: JobStore) -> None:
    lease = claimed(store)
    _, first = store.fail(lease, CORRUPT)
    store.owed.settle(taken(store), SendOutcome.LATER, error="webhook.timeout")
    store.redrive(lease.job_id)
    again = claimed(store, job_id=lease.job_id)
    _, second = store.complete(again, a_result(again), {})
    assert first is not None
    assert second is not None
    states = store.owed.of_job(lease.job_id)
    assert {state.webhook_id for state in states} == {first.webhook_id, second.webhook_id}
    assert len(states) == 2
    bodies = {owed.webhook_id: owed.body["status"] for owed in (taken(store), taken(store))}
    assert bodies == {first.webhook_id: "failed", second.webhook_id: "completed"}


def test_what_is_owed_for_an_erased_job_is_dropped(stores: JobStores, store: JobStore) -> None:
    record, other = completed(store, f"{ONE},{ANOTHER}"), completed(store)
    under_way = taken(store)
    assert store.owed.drop_owed(record.job_id) == 2
    assert store.owed.drop_owed(record.job_id) == 0
    assert store.owed.of_job(record.job_id) == []
    store.owed.settle(under_way, SendOutcome.LATER, error="webhook.timeout")
    stores.advance(SEND_LEASE_S + 1)
    assert store.owed.take(ANOTHER) is None
    assert taken(store).webhook_id == other.webhook_id
    assert store.owed.take(ONE) is None


def test_erasing_a_job_drops_what_is_owed_in_the_same_step(store: JobStore) -> None:
    ended, unfinished = completed(store, f"{ONE},{ANOTHER}"), store.accept(new_job(webhooks=ONE)).record
    for record in (ended, unfinished):
        assert isinstance(store.erase(record.job_id, owner=record.owner), Erased)
        assert store.owed.of_job(record.job_id) == []
    assert store.owed.due() == {}


def test_a_cancelled_job_is_told_of(store: JobStore) -> None:
    record = store.accept(new_job(webhooks=ONE)).record
    answer = store.cancel(record.job_id, owner=record.owner)
    assert isinstance(answer, Cancelled)
    assert answer.record.told == (ONE,)
    owed = taken(store)
    assert owed.webhook_id == answer.record.webhook_id
    assert owed.body["error"]["code"] == "job.cancelled"


def test_what_is_owed_to_a_revoked_endpoint_is_forgotten(store: JobStore) -> None:
    record = completed(store)
    store.owed.settle(taken(store), SendOutcome.REVOKED, error="webhook.revoked")
    assert store.owed.of_job(record.job_id) == []
    assert store.owed.due() == {}


def test_the_states_of_a_jobs_webhooks_are_shown(stores: JobStores, store: JobStore) -> None:
    record = completed(store)
    store.owed.settle(taken(store), SendOutcome.LATER, error="webhook.answered", delay_s=60)
    (state,) = store.owed.of_job(record.job_id)
    assert (state.endpoint_id, state.tries, state.error) == (ONE, 1, "webhook.answered")
    assert state.next_try_at is not None
    assert 59 <= (state.next_try_at - state.owed_since).total_seconds() <= 62


def test_webhooks_are_counted(stores: JobStores, store: JobStore) -> None:
    for _ in range(4):
        completed(store)
    stores.advance(30)
    store.owed.settle(taken(store), SendOutcome.TOLD)
    store.owed.settle(taken(store), SendOutcome.LATER, error="webhook.timeout", delay_s=5)
    store.owed.settle(taken(store), SendOutcome.GIVEN_UP, error="webhook.timeout")
    readings = store.statistics()
    assert readings[metrics.WEBHOOKS_SENT] == {(): 1}
    assert {reasons: number for reasons, number in readings[metrics.WEBHOOKS_FAILED].items() if number} == {
        ("webhook.timeout",): 2
    }
    assert readings[metrics.WEBHOOKS_GIVEN_UP] == {(): 1}
    assert readings[metrics.WEBHOOKS_OWED] == {(): 2}
    age = readings[metrics.WEBHOOKS_OLDEST_OWED_AGE][()]
    assert isinstance(age, float)
    assert 30 <= age < 40


# --- Redis alone -----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis_stores(redis: Server) -> Iterator[RedisJobStores]:
    made = RedisJobStores(redis.url)
    yield made
    made.close()


def test_what_is_owed_outlives_the_jobs_record(redis_stores: RedisJobStores, redis: Server) -> None:
    store = redis_stores.make()
    record = completed(store)
    with Redis.from_url(redis.url) as client:
        client.delete(f"darkroom:job:{record.job_id}")
        for key in client.keys("darkroom:webhooks:*of*"):
            assert client.ttl(key) == -1, f"{key!r} expires"
    assert taken(store).body == record.view()


def test_nothing_is_left_in_redis_once_all_is_told(redis_stores: RedisJobStores, redis: Server) -> None:
    store = redis_stores.make()
    completed(store, f"{ONE},{ANOTHER}")
    for endpoint_id in (ONE, ANOTHER):
        store.owed.settle(taken(store, endpoint_id), SendOutcome.TOLD)
    assert store.owed.due() == {}
    with Redis.from_url(redis.url) as client:
        assert client.keys("darkroom:webhooks:*") == []


def test_a_record_of_another_version_waits_for_one_that_can_read_it(
    redis_stores: RedisJobStores, redis: Server
) -> None:
    store = redis_stores.make()
    record = completed(store)
    readable = completed(store)
    with Redis.from_url(redis.url) as client:
        key, number = f"darkroom:webhooks:of:{record.job_id}", record.webhook_id[37:]
        client.hset(key, number, json.dumps(["status", "another", "type", "resize"]))
    assert taken(store).webhook_id == readable.webhook_id
    (state,) = store.owed.of_job(record.job_id)
    assert state.error == "job.unreadable"


def test_a_store_that_is_away_says_so() -> None:
    store = RedisJobStore("redis://127.0.0.1:1")
    with pytest.raises(DependencyUnavailableError):
        store.owed.take(ONE)
    store.close()
