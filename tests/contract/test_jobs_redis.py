"""What only the job store in Redis does: real leases, real faults, what it keeps for how long, in how much memory."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from darkroom.adapters.jobs import FINAL_JOBS_KEPT_S, Held, JobStore, Lease, NewJob, NextStep, Outcome
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import (
    BacklogFullError,
    DependencyUnavailableError,
    IdempotencyMismatchError,
    ImageCrashedError,
)
from darkroom.contract.jobs import JobStatus
from darkroom.telemetry.metric import Distribution
from tests.contract.job_stores import RedisJobStores, a_result, new_job
from tests.listener import listening, threads_of_this_process
from tests.servers import Server, redis_server, running
from tools import catalog as metrics

WORKER_CRASHED = ImageCrashedError("the worker ended without reporting")
DAY_S = 24 * 3600


@pytest.fixture
def stores(redis: Server) -> Iterator[RedisJobStores]:
    made = RedisJobStores(redis.url)
    yield made
    made.close()


@pytest.fixture
def store(stores: RedisJobStores) -> RedisJobStore:
    return stores.make()


def claimed(store: JobStore) -> Lease:
    answer = store.claim(store.accept(new_job()).record.job_id, worker="worker-1")
    assert isinstance(answer, Lease)
    return answer


def poll(question: Callable[[], Any], within_s: float = 10.0) -> Any:
    """The first true answer."""
    give_up_at = time.monotonic() + within_s
    while not (answer := question()) and time.monotonic() < give_up_at:
        time.sleep(0.005)
    return answer


# --- Redis' own clock ------------------------------------------------------------------------------------------------


def test_a_lease_runs_out_by_itself(stores: RedisJobStores) -> None:
    store = stores.make(times=JobTimes(lease_s=0.3))
    lease = claimed(store)

    assert isinstance(store.claim(lease.job_id, worker="worker-2"), Held)
    second = poll(lambda: isinstance(answer := store.claim(lease.job_id, worker="worker-2"), Lease) and answer)

    assert second.fence == lease.fence + 1
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.STALE


def test_the_sweep_finds_a_lease_that_ran_out_by_itself(stores: RedisJobStores) -> None:
    store = stores.make(times=JobTimes(lease_s=0.05))
    lease = claimed(store)

    (recovered,) = poll(lambda: store.recover_overdue(limit=10, error=WORKER_CRASHED))

    assert recovered.step is NextStep.EMIT
    assert recovered.record.job_id == lease.job_id


# --- what is kept, and for how long ----------------------------------------------------------------------------------


def test_ended_jobs_expire_and_unfinished_ones_do_not(stores: RedisJobStores, store: RedisJobStore) -> None:
    leases = completed, failed, _ = claimed(store), claimed(store), claimed(store)
    store.complete(completed, a_result(completed), {})
    store.fail(failed, WORKER_CRASHED)

    of_completed, of_failed, of_unfinished = (int(stores.client.ttl(f"darkroom:job:{each.job_id}")) for each in leases)

    assert FINAL_JOBS_KEPT_S - 60 < of_completed <= FINAL_JOBS_KEPT_S
    assert FINAL_JOBS_KEPT_S - 60 < of_failed <= FINAL_JOBS_KEPT_S
    assert of_unfinished == -1


def test_idempotency_keys_expire_after_a_day(stores: RedisJobStores, store: RedisJobStore) -> None:
    store.accept(new_job(idempotency_key="k"))

    assert DAY_S - 60 < int(stores.client.ttl("darkroom:idempotency:key-1:k")) <= DAY_S


def test_an_idempotency_key_whose_job_is_gone_makes_a_new_one(stores: RedisJobStores, store: RedisJobStore) -> None:
    first = store.accept(new_job(idempotency_key="k"))
    stores.client.delete(f"darkroom:job:{first.record.job_id}")

    second = store.accept(new_job(idempotency_key="k", fingerprint="e" * 64))

    assert second.created
    assert store.accept(new_job(idempotency_key="k", fingerprint="e" * 64)).record == second.record


def test_an_owners_index_forgets_jobs_that_are_gone(stores: RedisJobStores, store: RedisJobStore) -> None:
    old = [str(store.accept(new_job()).record.job_id) for _ in range(3)]
    stores.advance(FINAL_JOBS_KEPT_S + DAY_S + 1)
    new = str(store.accept(new_job()).record.job_id)

    listed: Any = stores.client.zrange("darkroom:owner:key-1", 0, -1)

    assert listed == [new]
    assert new not in old


def test_an_owners_index_is_as_long_as_its_jobs_are_many(stores: RedisJobStores) -> None:
    store = stores.make(times=JobTimes(final_kept_s=60))
    for _ in range(8):
        lease = claimed(store)
        store.complete(lease, a_result(lease), {})
        stores.client.delete(f"darkroom:job:{lease.job_id}")  # as its expiry does
    unfinished = {str(store.accept(new_job()).record.job_id) for _ in range(2)}
    stores.advance(61)
    new = {str(store.accept(new_job()).record.job_id) for _ in range(2)}

    assert set(stores.client.zrange("darkroom:owner:key-1", 0, -1)) == unfinished | new


def test_nothing_of_an_ended_job_stays_in_the_indexes_of_unfinished_ones(
    stores: RedisJobStores, store: RedisJobStore
) -> None:
    lease = claimed(store)
    store.complete(lease, a_result(lease), {})

    keys: Any = stores.client.keys("darkroom:*")
    drained = {key for key in keys if key.startswith("darkroom:drained:")}

    assert all(0 < stores.client.pttl(key) <= 70_000 for key in drained), "what ended lately is soon forgotten"
    assert set(keys) - drained == {
        f"darkroom:job:{lease.job_id}",
        "darkroom:owner:key-1",
        "darkroom:owners",
        "darkroom:statistics",
    }


def test_jobs_whose_record_is_gone_leave_the_sweep(stores: RedisJobStores, store: RedisJobStore) -> None:
    job_id = store.accept(new_job()).record.job_id
    stores.client.delete(f"darkroom:job:{job_id}")
    stores.client.zadd("darkroom:given-up", {str(job_id): 0})
    stores.advance(60)

    assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
    assert stores.client.zcard("darkroom:deadlines") == stores.client.zcard("darkroom:given-up") == 0


def a_traced_job(**changes: Any) -> NewJob:
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    return new_job(trace=trace, turn=1.5, cost_class="standard", **changes)


def processed(store: JobStore, job: NewJob) -> Lease:
    store.accept(job)
    store.emitted(job.job_id, 1)
    lease = store.claim(job.job_id, worker=f"resize-00001-deployment-6d5f8b7c9d-{secrets.token_hex(3)}")
    assert isinstance(lease, Lease)
    return lease


def test_a_finished_job_takes_less_than_600_bytes(stores: RedisJobStores, store: RedisJobStore) -> None:
    jobs = 2000
    for _ in range(200):  # connections, scripts and the index are there before the first measurement
        lease = processed(store, a_traced_job())
        store.complete(lease, a_result(lease), {"fetch": 5, "render": 61, "store": 7})
    before = used_memory(stores.client)
    leases = [processed(store, a_traced_job()) for _ in range(jobs)]
    unfinished = (used_memory(stores.client) - before) / jobs
    for lease in leases:
        store.complete(lease, a_result(lease), {"fetch": 5, "render": 61, "store": 7})
    finished = (used_memory(stores.client) - before) / jobs

    # The figure is wanted as much as the verdict: pytest -s shows it.
    print(f"\nbytes a job: {unfinished:.0f} while it is processed, {finished:.0f} when finished")  # noqa: T201
    assert finished < 600
    assert unfinished < 1536
    record = f"darkroom:job:{leases[0].job_id}"
    assert int(str(stores.client.memory_usage(record))) < 600 - 110  # the rest is the owner's index


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"request_id": "of the caller"},
        {"request_id": "0" * 32},
        {"request_id": str(uuid.uuid4()).upper()},
        {"trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"},
        {"storage_key": "uploads/key-1/d4c1/original"},
        {"cost_class": "heavy"},
    ],
)
def test_the_short_record_of_an_ended_job_says_all_that_the_long_one_did(
    store: RedisJobStore, changes: dict[str, Any], status: JobStatus
) -> None:
    memory = MemoryJobStore()
    job = replace(a_traced_job(), **changes)
    records = []
    for each in (store, memory):
        each.accept(job)
        each.emitted(job.job_id, 1)
        lease = each.claim(job.job_id, worker="worker-1")
        assert isinstance(lease, Lease)
        if status is JobStatus.COMPLETED:
            told = each.complete(lease, a_result(lease), {"fetch": 5, "render": 61, "store": 7})[1]
        else:
            told = each.fail(lease, WORKER_CRASHED)[1]
        record = each.get(job.job_id)
        assert record == told
        assert record is not None
        records.append(record)

    moments = {"created_at", "started_at", "finished_at", "history", "timings_ms", "confirmed", "lease_until"}
    found, expected = (record.model_dump(exclude=moments) for record in records)
    assert found == expected
    (attempt,) = records[0].history
    assert (attempt.fence, attempt.worker) == (1, "worker-1")
    assert (attempt.started_at, attempt.ended_at) == (records[0].started_at, records[0].finished_at)
    assert {name: time_ms for name, time_ms in records[0].timings_ms.items() if name != "queued"} == {
        name: time_ms for name, time_ms in records[1].timings_ms.items() if name != "queued"
    }


def test_results_of_every_form_are_read_as_they_were_stored(store: RedisJobStore) -> None:
    for changes in (
        {"storage_key": "processed/elsewhere.jpg"},
        {"content_type": "application/octet-stream"},
        {"content_type": "image/svg+xml"},
        {"placeholder": "#a0b1c2"},
        {"bytes": 2**40},
    ):
        lease = claimed(store)
        result = a_result(lease).model_copy(update=changes)
        store.complete(lease, result, {})
        record = store.get(lease.job_id)
        assert record is not None
        assert record.result == result


def test_a_failed_job_with_a_short_record_is_redriven_with_its_history(store: RedisJobStore) -> None:
    lease = claimed(store)
    store.fail(lease, WORKER_CRASHED)
    failed = store.get(lease.job_id)
    assert failed is not None

    redriven = store.redrive(lease.job_id).record
    assert redriven is not None
    assert (redriven.history, redriven.started_at) == (failed.history, failed.started_at)
    assert (redriven.fence, redriven.attempts, redriven.emissions) == (2, 0, 2)
    assert redriven.message.model_copy(update={"metadata": failed.message.metadata}) == failed.message

    again = store.claim(lease.job_id, worker="worker-2")
    assert isinstance(again, Lease)
    outcome, record = store.complete(again, a_result(again), {"render": 1})
    assert outcome is Outcome.DONE
    assert record is not None
    assert [attempt.fence for attempt in record.history] == [1, 3]
    assert record.started_at == failed.started_at


def test_a_repeated_request_finds_the_job_that_has_ended_and_another_is_refused(store: RedisJobStore) -> None:
    job = new_job(idempotency_key="k")
    lease = processed(store, job)
    store.complete(lease, a_result(lease), {})

    again = store.accept(replace(job, job_id=uuid.uuid4()))
    assert not again.created
    assert again.record.job_id == job.job_id
    with pytest.raises(IdempotencyMismatchError):
        store.accept(replace(job, job_id=uuid.uuid4(), fingerprint="e" * 64))


def used_memory(client: Redis) -> int:
    """What the keys take: connections and cached scripts do not grow with the jobs."""
    info: Any = client.info("memory")
    return int(info["used_memory"] - info["mem_clients_normal"] - info["used_memory_scripts_eval"])


# --- faults ----------------------------------------------------------------------------------------------------------


def test_nothing_is_connected_before_the_first_call() -> None:
    with listening() as server:
        before = threads_of_this_process()
        store = RedisJobStore(f"redis://{server.address}/0", answer_timeout_s=0.2)
        assert threads_of_this_process() <= before
        assert not server.was_connected_to()

        with pytest.raises(DependencyUnavailableError, match="jobs: TimeoutError"):
            store.check()
        assert server.was_connected_to()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = RedisJobStore("redis://127.0.0.1:9/0")
    with pytest.raises(DependencyUnavailableError, match="jobs: ConnectionError"):
        store.check()


def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with running(redis_server(tmp_path)) as server:
        store = RedisJobStore(server.url, answer_timeout_s=0.2)
        job = new_job()
        with server.paused(), pytest.raises(DependencyUnavailableError, match="jobs: TimeoutError"):
            store.accept(job)

        # Redis had the request in its socket and carries it out now; the client repeats its POST.
        assert poll(lambda: store.accept(job).record.job_id == job.job_id)
        store.close()


def test_a_server_that_restarts_has_every_job_and_is_found_again_at_once(tmp_path: Path) -> None:
    with running(redis_server(tmp_path)) as server:
        store = RedisJobStore(server.url)
        lease = claimed(store)

        server.restart()

        assert store.renew(lease) is Outcome.DONE
        assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE
        store.close()


def test_a_server_that_is_killed_has_everything_that_it_acknowledged(tmp_path: Path) -> None:
    with running(redis_server(tmp_path)) as server:
        store = RedisJobStore(server.url)
        # Past the second in which Redis would fsync in the background, were it set to.
        accept_until = time.monotonic() + 1.2
        job_ids = []
        while time.monotonic() < accept_until:
            job_ids.append(store.accept(new_job()).record.job_id)

        server.restart()

        assert [job_id for job_id in job_ids if store.get(job_id) is None] == []
        store.close()


def test_a_full_server_takes_no_new_job_but_lets_the_others_end(tmp_path: Path) -> None:
    with running(redis_server(tmp_path)) as server:
        store = RedisJobStore(server.url)
        lease, waiting = claimed(store), store.accept(new_job()).record.job_id
        refused = new_job()
        client: Redis = Redis.from_url(server.url)
        client.config_set("maxmemory", "1")

        with pytest.raises(BacklogFullError, match="has used all of its memory"):
            store.accept(refused)

        assert store.get(refused.job_id) is None
        assert store.renew(lease) is Outcome.DONE
        assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE
        assert isinstance(store.claim(waiting, worker="worker-1"), Lease)
        assert store.recover_overdue(limit=10, error=WORKER_CRASHED) == []
        client.config_set("maxmemory", "0")
        assert store.accept(refused).created
        client.close()
        store.close()


def test_a_server_that_may_evict_jobs_fails_the_check(tmp_path: Path) -> None:
    with running(redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru")) as server:
        store = RedisJobStore(server.url)
        with pytest.raises(DependencyUnavailableError, match="must be noeviction, was allkeys-lru"):
            store.check()
        store.close()


def test_a_replica_that_takes_no_writes_is_unavailable(tmp_path: Path) -> None:
    with running(redis_server(tmp_path, "--replicaof", "127.0.0.1", "9")) as server:
        store = RedisJobStore(server.url)
        with pytest.raises(DependencyUnavailableError, match="jobs: "):
            store.accept(new_job())
        store.close()


def test_a_user_without_permission_is_unavailable(tmp_path: Path) -> None:
    with running(redis_server(tmp_path, "--user", "reader", "on", ">pw", "~darkroom:*", "+hgetall", "+info")) as server:
        store = RedisJobStore(server.url.replace("//", "//reader:pw@"))
        store.check()
        with pytest.raises(DependencyUnavailableError, match="NoPermissionError"):
            store.accept(new_job())
        assert store.get(new_job().job_id) is None
        store.close()


# --- accepting while Redis is away -----------------------------------------------------------------------------------


def jobs_in(server: Server) -> set[str]:
    client: Redis = Redis.from_url(server.url, decode_responses=True)
    try:
        return {str(key) for key in client.scan_iter("darkroom:*")}
    finally:
        client.close()


class SendsLate(RedisJobStore):
    """The request reaches Redis only after its sender has given up: it lay in a socket's buffer."""

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        if name == "accept":
            time.sleep(2 * self._answer_timeout_s)
        return super()._run_script(name, *arguments)


def test_an_accept_that_comes_too_late_accepts_nothing(redis: Server, stores: RedisJobStores) -> None:
    store = SendsLate(redis.url, answer_timeout_s=0.1)

    with pytest.raises(DependencyUnavailableError, match="the request did not reach Redis within"):
        store.accept(new_job(idempotency_key="k"))

    assert jobs_in(redis) == set()
    store.close()


class CountsTheClock(RedisJobStore):
    asked = 0
    wrong_by_ms = 0

    def _time_ms(self) -> int:
        self.asked += 1
        # As if the clock had been set forward by so much after the first look at it.
        return super()._time_ms() - (self.wrong_by_ms if self.asked == 1 else 0)


def test_redis_is_not_asked_for_its_time_with_each_job(redis: Server, stores: RedisJobStores) -> None:
    store = CountsTheClock(redis.url)

    for _ in range(3):
        assert store.accept(new_job()).created

    assert store.asked == 1
    store.close()


def test_a_clock_that_was_set_forward_refuses_no_job(redis: Server, stores: RedisJobStores) -> None:
    store = CountsTheClock(redis.url)
    store.wrong_by_ms = 60_000

    assert store.accept(new_job()).created

    assert store.asked == 2
    store.close()


class LosesAcceptance(RedisJobStore):
    """The accept is carried out, and neither its answer nor that of its repetition arrives."""

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        from redis.exceptions import TimeoutError

        answer = super()._run_script(name, *arguments)
        if name == "accept":
            raise TimeoutError("the test lost the answer")
        return answer


def test_a_job_that_was_written_though_the_caller_was_refused_is_taken_back(
    redis: Server, stores: RedisJobStores
) -> None:
    store = LosesAcceptance(redis.url, answer_timeout_s=1.0)

    with pytest.raises(DependencyUnavailableError):
        store.accept(new_job(idempotency_key="k"))

    def only_the_binding_is_left() -> bool:
        return jobs_in(redis) <= {"darkroom:idempotency:key-1:k", "darkroom:statistics"}

    assert poll(only_the_binding_is_left), jobs_in(redis)
    statistics = store.statistics()
    assert statistics[metrics.JOBS_ACCEPTED]["resize", "standard"] == 1
    assert statistics[metrics.JOBS_RETRACTED]["resize", "standard"] == 1
    assert stores.make().accept(new_job(idempotency_key="k")).created
    store.close()


def promised_to_another(store: RedisJobStore, job_id: UUID) -> None:
    assert store.accept(new_job(idempotency_key="k")).record.job_id == job_id


def emitted_by_recovery(store: RedisJobStore, job_id: UUID) -> None:
    store.recover(job_id, WORKER_CRASHED)


def claimed_by_a_worker(store: RedisJobStore, job_id: UUID) -> None:
    assert isinstance(store.claim(job_id, worker="worker-1"), Lease)


@pytest.mark.parametrize("happens", [promised_to_another, emitted_by_recovery, claimed_by_a_worker])
def test_a_job_that_others_know_of_is_not_taken_back(
    redis: Server, stores: RedisJobStores, happens: Callable[[RedisJobStore, UUID], None]
) -> None:
    refused, other = LosesAcceptance(redis.url, answer_timeout_s=1.0), stores.make()
    job = new_job(idempotency_key="k")
    with pytest.raises(DependencyUnavailableError):
        refused.accept(job)
    happens(other, job.job_id)

    assert poll(lambda: refused._settler.is_idle)
    assert other.get(job.job_id) is not None
    refused.close()


def test_a_batch_that_was_written_though_the_caller_was_refused_is_taken_back_whole(
    redis: Server, stores: RedisJobStores
) -> None:
    there = stores.make().accept(new_job(idempotency_key="0")).record.job_id
    store = LosesAcceptance(redis.url, answer_timeout_s=1.0)

    with pytest.raises(DependencyUnavailableError):
        store.accept_many([new_job(idempotency_key=str(number)) for number in range(3)])

    assert poll(lambda: store._settler.is_idle)
    assert {key for key in jobs_in(redis) if key.startswith("darkroom:job:")} == {f"darkroom:job:{there}"}
    assert store.statistics()[metrics.JOBS_RETRACTED]["resize", "standard"] == 2
    store.close()


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.02])
def test_a_server_that_is_killed_in_the_middle_of_batches_has_each_whole_or_not_at_all(
    tmp_path: Path, after_s: float
) -> None:
    with running(redis_server(tmp_path)) as server:
        store = RedisJobStore(server.url)
        store.accept(new_job())
        acknowledged: list[NewJob] = []
        batches: list[list[NewJob]] = []

        def accept_until_it_dies() -> None:
            while True:
                batches.append([new_job() for _ in range(100)])
                try:
                    store.accept_many(batches[-1])
                except DependencyUnavailableError:
                    return
                acknowledged.extend(batches[-1])

        sender = threading.Thread(target=accept_until_it_dies)
        sender.start()
        poll(lambda: len(batches) > 1)
        time.sleep(after_s)  # Where in a batch the server dies is left to chance.
        server.kill()
        sender.join(timeout=20)
        server.start()

        assert poll(lambda: store._settler.is_idle)
        kept = [sum(store.get(job.job_id) is not None for job in batch) for batch in batches]
        assert set(kept) <= {0, 100}, kept
        assert all(store.get(job.job_id) is not None for job in acknowledged)
        store.close()


# --- a call whose answer was lost ------------------------------------------------------------------------------------


class LosesAnswers(RedisJobStore):
    """Every script is carried out, and the connection breaks before its first answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.lose_next = False

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        from redis.exceptions import ConnectionError

        answer = super()._run_script(name, *arguments)
        if self.lose_next:
            self.lose_next = False
            raise ConnectionError("the test lost the answer")
        return answer


@pytest.fixture
def forgetful(stores: RedisJobStores) -> Iterator[LosesAnswers]:
    made = LosesAnswers(stores.url)
    yield made
    made.close()


def test_an_accept_whose_answer_was_lost_is_the_callers_to_emit(forgetful: LosesAnswers) -> None:
    job = new_job(idempotency_key="k")
    forgetful.lose_next = True

    answer = forgetful.accept(job)

    assert answer.created
    assert answer.record.job_id == job.job_id
    forgetful.lose_next = True
    assert not forgetful.accept(new_job(idempotency_key="k")).created


def test_a_claim_whose_answer_was_lost_gets_its_lease(forgetful: LosesAnswers) -> None:
    job_id = forgetful.accept(new_job()).record.job_id
    forgetful.lose_next = True

    answer = forgetful.claim(job_id, worker="worker-1")

    assert isinstance(answer, Lease)
    assert (answer.fence, answer.record.attempts) == (1, 1)


def test_ends_whose_answer_was_lost_are_done(forgetful: LosesAnswers) -> None:
    leases = [claimed(forgetful) for _ in range(3)]
    forgetful.lose_next = True
    assert forgetful.complete(leases[0], a_result(leases[0]), {})[0] is Outcome.DONE
    forgetful.lose_next = True
    assert forgetful.fail(leases[1], WORKER_CRASHED)[0] is Outcome.DONE
    forgetful.lose_next = True
    assert forgetful.release(leases[2], WORKER_CRASHED, counts=False) is Outcome.DONE

    records = [forgetful.get(lease.job_id) for lease in leases]
    assert [record.status for record in records if record] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.QUEUED]
    assert records[2] is not None
    assert records[2].attempts == 0


def through_a_life(store: RedisJobStore, before_each_call: Callable[[], None]) -> None:
    def lease_of(job_id: UUID) -> Lease:
        before_each_call()
        answer = store.claim(job_id, worker="worker-1")
        assert isinstance(answer, Lease)
        return answer

    before_each_call()
    job_id = store.accept(new_job()).record.job_id
    lease = lease_of(job_id)
    before_each_call()
    store.release(lease, WORKER_CRASHED, counts=False)
    lease = lease_of(job_id)
    before_each_call()
    store.fail(lease, WORKER_CRASHED)
    before_each_call()
    store.redrive(job_id)
    lease = lease_of(job_id)
    before_each_call()
    store.complete(lease, a_result(lease), {"render": 61})


def how_often(store: RedisJobStore) -> dict[tuple[str, ...], float]:
    return {
        (metric.name, *labels): value.count if isinstance(value, Distribution) else value
        for metric, values in store.statistics().items()
        for labels, value in values.items()
    }


def test_a_change_whose_answer_was_lost_is_counted_once(stores: RedisJobStores, forgetful: LosesAnswers) -> None:
    plain = stores.make()
    through_a_life(plain, lambda: None)
    expected = how_often(plain)
    stores.client.flushall()

    through_a_life(forgetful, lambda: setattr(forgetful, "lose_next", True))

    assert how_often(plain) == expected


# --- a call that came to nothing -------------------------------------------------------------------------------------


class LosesCalls(RedisJobStore):
    """Loses the calls of a script as the list says: "answer" after it was carried out, "request" before."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.losses: dict[str, list[str]] = {}
        self.calls: list[str] = []

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        from redis.exceptions import TimeoutError

        self.calls.append(name)
        losses = self.losses.get(name)
        loss = losses.pop(0) if losses else None
        if loss == "request":
            raise TimeoutError("the test lost the request")
        answer = super()._run_script(name, *arguments)
        if loss == "answer":
            raise TimeoutError("the test lost the answer")
        return answer


@pytest.fixture
def unlucky(stores: RedisJobStores) -> Iterator[LosesCalls]:
    made = LosesCalls(stores.url)
    yield made
    made.close()


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("withdrawals", [[], ["request"], ["answer", "request", "answer"]])
def test_a_claim_that_is_given_up_does_not_count(unlucky: LosesCalls, lost: str, withdrawals: list[str]) -> None:
    job_id = unlucky.accept(new_job()).record.job_id
    for _ in range(4):
        unlucky.losses = {"claim": [lost], "withdraw": list(withdrawals)}
        with pytest.raises(DependencyUnavailableError):
            unlucky.claim(job_id, worker="worker-1")
        assert poll(lambda: unlucky._settler.is_idle)

    answer = unlucky.claim(job_id, worker="worker-1")

    assert isinstance(answer, Lease)
    assert answer.record.attempts == 1


def test_a_claim_that_is_carried_out_after_its_withdrawal_is_refused(
    unlucky: LosesCalls, stores: RedisJobStores
) -> None:
    """Two connections are served in any order: here the request of the one that was given up comes last."""
    job_id = unlucky.accept(new_job()).record.job_id
    unlucky.losses = {"claim": ["request"]}
    with pytest.raises(DependencyUnavailableError):
        unlucky.claim(job_id, worker="worker-1", token="t1")
    assert poll(lambda: unlucky._settler.is_idle)

    with pytest.raises(DependencyUnavailableError, match="too late"):
        stores.make().claim(job_id, worker="worker-1", token="t1")

    record = unlucky.get(job_id)
    assert record is not None
    assert (record.status, record.attempts, record.fence) == (JobStatus.QUEUED, 0, 0)


def test_a_claim_whose_lease_ran_out_while_it_waited_for_its_answer_does_not_count(
    unlucky: LosesCalls, stores: RedisJobStores
) -> None:
    job_id = unlucky.accept(new_job()).record.job_id
    unlucky.losses = {"claim": ["answer"], "withdraw": ["request"]}
    with pytest.raises(DependencyUnavailableError):
        unlucky.claim(job_id, worker="worker-1", token="t1")
    stores.advance(11)

    with pytest.raises(DependencyUnavailableError):
        unlucky.claim(job_id, worker="worker-1", token="t1")

    assert poll(lambda: unlucky._settler.is_idle)
    record = unlucky.get(job_id)
    assert record is not None
    assert (record.status, record.attempts) == (JobStatus.QUEUED, 0)


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_an_end_that_is_not_answered_in_time_is_asked_for_once_more(unlucky: LosesCalls, lost: str) -> None:
    renewed, done, bad = (claimed(unlucky) for _ in range(3))
    unlucky.losses = {name: [lost] for name in ("renew", "complete", "fail")}

    assert unlucky.renew(renewed) is Outcome.DONE
    assert unlucky.complete(done, a_result(done), {"render": 1})[0] is Outcome.DONE
    assert unlucky.fail(bad, WORKER_CRASHED)[0] is Outcome.DONE

    ended = unlucky.statistics()[metrics.JOBS_ENDED]
    assert ended["resize", "standard", "completed", ""] == 1
    assert ended["resize", "standard", "failed", "image.crashed"] == 1


@pytest.mark.parametrize("lost", [["request"], ["answer"], ["request", "answer", "request"]])
@pytest.mark.parametrize(("counts", "attempts"), [(True, 1), (False, 0)])
def test_a_release_is_repeated_until_it_is_heard(
    unlucky: LosesCalls, lost: list[str], counts: bool, attempts: int
) -> None:
    lease = claimed(unlucky)
    unlucky.losses = {"release": list(lost)}

    with pytest.raises(DependencyUnavailableError):
        unlucky.release(lease, WORKER_CRASHED, counts=counts)

    assert poll(lambda: unlucky._settler.is_idle)
    record = unlucky.get(lease.job_id)
    assert record is not None
    assert (record.status, record.attempts) == (JobStatus.QUEUED, attempts)


def test_a_call_that_was_refused_leaves_nothing_to_settle(tmp_path: Path) -> None:
    with running(redis_server(tmp_path, "--user", "reader", "on", ">pw", "~darkroom:*", "+hgetall", "+info")) as server:
        store = RedisJobStore(server.url.replace("//", "//reader:pw@"))
        with pytest.raises(DependencyUnavailableError, match="NoPermissionError"):
            store.claim(new_job().job_id, worker="worker-1")
        assert store._settler.is_idle
        store.close()


def test_a_record_of_before_withdrawals_is_claimed_and_ended(stores: RedisJobStores, store: RedisJobStore) -> None:
    """As an earlier version left it: the token of the claim was removed with each lease, and nothing was withdrawn."""
    lease = claimed(store)
    key = f"darkroom:job:{lease.job_id}"
    stores.client.hdel(key, "claim")
    stores.advance(11)
    store.withdraw(lease.job_id, "t1")

    second = store.claim(lease.job_id, worker="worker-2")

    assert isinstance(second, Lease)
    assert (second.fence, second.record.attempts) == (2, 2)
    assert [attempt.code for attempt in second.record.history] == ["image.crashed", None]
    assert store.complete(second, a_result(second), {})[0] is Outcome.DONE
