"""What only the job store in PostgreSQL does: migrations, partitions, many at once, lost answers and lost servers."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from darkroom.adapters.jobs import JobStore, Lease, NextStep, Outcome
from darkroom.adapters.jobs.admission import BacklogLimits
from darkroom.adapters.jobs.postgres import schema
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.schema import Migration, MigrationChangedError
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.postgres.upkeep import Upkeep
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract import metrics
from darkroom.contract.errors import DependencyUnavailableError, ImageCrashedError, QuotaExceededError
from darkroom.contract.jobs import JobStatus
from tests.contract.job_stores import a_result, new_job
from tests.contract.postgres_stores import PostgresJobStores
from tests.listener import listening, threads_of_this_process
from tests.servers import PostgresServer, Server, postgres_server, running

WORKER_CRASHED = ImageCrashedError("the worker ended without reporting")
DAY_S = 24 * 3600


@pytest.fixture
def stores(postgres: Server) -> Iterator[PostgresJobStores]:
    made = PostgresJobStores(postgres.url)
    yield made
    made.close()


@pytest.fixture
def store(stores: PostgresJobStores) -> PostgresJobStore:
    return stores.make()


def claimed(store: JobStore) -> Lease:
    answer = store.claim(store.accept(new_job()).record.job_id, worker="worker-1")
    assert isinstance(answer, Lease)
    return answer


def completed(store: JobStore) -> Lease:
    lease = claimed(store)
    assert store.complete(lease, a_result(lease), {"render": 5})[0] is Outcome.DONE
    return lease


def poll(question: Callable[[], Any], within_s: float = 30.0) -> Any:
    """The first true answer."""
    give_up_at = time.monotonic() + within_s
    while not (answer := question()) and time.monotonic() < give_up_at:
        time.sleep(0.005)
    return answer


def number(stores: PostgresJobStores, question: str) -> int:
    answer = stores.client.execute(question).fetchone()
    assert answer is not None
    return int(answer[0])


# --- migrations ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres: Server, stores: PostgresJobStores) -> Iterator[str]:
    """An empty database of the same server."""
    name = f"empty_{uuid.uuid4().hex}"
    stores.client.execute(f"CREATE DATABASE {name}")
    yield postgres.url.replace("/postgres", f"/{name}")
    stores.client.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_each_migration_is_applied_once(database: str) -> None:
    assert [migration.number for migration in schema.prepare(database)] == list(range(1, len(schema.migrations()) + 1))
    assert schema.prepare(database) == []


def test_two_that_set_up_at_once_do_so_one_after_the_other(database: str) -> None:
    with ThreadPoolExecutor() as pool:
        applied = list(pool.map(lambda _: len(schema.prepare(database)), range(4)))
    assert sorted(applied) == [0, 0, 0, len(schema.migrations())]


def test_a_migration_that_was_changed_is_refused(database: str) -> None:
    first = schema.migrations()[0]
    schema.prepare(database)
    changed = Migration(number=first.number, name=first.name, sql=first.sql + "\n-- another word\n")
    with pytest.raises(MigrationChangedError, match=r"migration 0001 .tables. was applied with checksum"):
        schema.prepare(database, [changed])


def test_a_migration_that_fails_leaves_nothing_of_itself(database: str) -> None:
    schema.prepare(database)
    broken = Migration(number=9000, name="broken", sql="CREATE TABLE darkroom.half (n int); SELECT 1 / 0;")
    with pytest.raises(DependencyUnavailableError, match="DivisionByZero"):
        schema.prepare(database, [*schema.migrations(), broken])
    with psycopg.connect(database) as connection:
        (found,) = connection.execute("SELECT to_regclass('darkroom.half')").fetchone() or ("",)
    assert found is None


def test_a_database_without_tables_says_what_makes_them(database: str) -> None:
    store = PostgresJobStore(database)
    with pytest.raises(DependencyUnavailableError, match="`darkroom setup` makes it"):
        store.check()
    store.close()


# --- what is kept, where, and for how long ---------------------------------------------------------------------------


def test_a_job_that_ends_leaves_the_table_of_the_unfinished(stores: PostgresJobStores, store: PostgresJobStore) -> None:
    lease = completed(store)
    assert number(stores, "SELECT count(*) FROM darkroom.jobs") == 0
    today = time.strftime("finished_%Y%m%d", time.gmtime())
    assert number(stores, f"SELECT count(*) FROM darkroom.{today} WHERE id = '{lease.job_id}'") == 1


def test_renewals_need_no_entry_in_any_index(stores: PostgresJobStores) -> None:
    store = stores.make(answer_timeout_s=2.0)  # with a session of its own
    lease = claimed(store)
    updates = "SELECT {} FROM pg_stat_user_tables WHERE schemaname = 'darkroom' AND relname = 'jobs'"

    def count(column: str) -> int:
        stores.client.execute("SELECT pg_stat_clear_snapshot()")
        return number(stores, updates.format(column))

    before, before_hot = count("n_tup_upd"), count("n_tup_hot_upd")
    for _ in range(20):
        store.renew(lease)
    store.close()  # a session reports its numbers when it ends
    assert poll(lambda: count("n_tup_upd") - before >= 20)
    assert count("n_tup_hot_upd") - before_hot >= 20


def test_a_day_is_dropped_when_all_its_jobs_are_past_their_retention(
    stores: PostgresJobStores, postgres: Server
) -> None:
    client = stores.client
    for day in ("2001-01-01", "2001-01-02"):
        client.execute("SELECT darkroom.make_partition(%s)", (day,))
    store = stores.make()
    old, kept = completed(store), claimed(store)
    store.fail(kept, WORKER_CRASHED)
    client.execute("UPDATE darkroom.finished SET finished = '2001-01-01 12:00Z' WHERE id = %s", (old.job_id,))
    client.execute("UPDATE darkroom.finished SET finished = '2001-01-02 12:00Z' WHERE id = %s", (kept.job_id,))
    client.execute("INSERT INTO darkroom.given_up VALUES (%s, now())", (kept.job_id,))
    recent = completed(store)

    Upkeep(postgres.url, final_kept_s=7 * DAY_S).do()

    assert store.get(old.job_id) is None
    assert store.get(kept.job_id) is not None, "it is not with the dead letters yet"
    assert store.get(recent.job_id) is not None
    store.kept(kept.job_id)
    Upkeep(postgres.url, final_kept_s=7 * DAY_S).do()
    assert store.get(kept.job_id) is None


def test_a_retention_of_seconds_needs_no_day(stores: PostgresJobStores, postgres: Server) -> None:
    store = stores.make()
    lease = completed(store)
    upkeep = Upkeep(postgres.url, final_kept_s=60)
    upkeep.do()
    assert store.get(lease.job_id) is not None
    stores.advance(61)
    upkeep.do()
    assert store.get(lease.job_id) is None


def test_an_idempotency_key_is_forgotten_after_its_time(stores: PostgresJobStores, postgres: Server) -> None:
    store = stores.make()
    store.accept(new_job(idempotency_key="k"))
    stores.advance(DAY_S + 1)
    assert store.accept(new_job(idempotency_key="k", fingerprint="e" * 64)).created
    stores.advance(DAY_S + 1)
    Upkeep(postgres.url, final_kept_s=None).do()
    assert number(stores, "SELECT count(*) FROM darkroom.bindings") == 0


def test_counts_are_the_same_before_and_after_they_are_added_up(stores: PostgresJobStores, postgres: Server) -> None:
    store = stores.make()
    completed(store)
    before = store.statistics()
    Upkeep(postgres.url, final_kept_s=None).do()
    assert number(stores, "SELECT count(*) FROM darkroom.tallied") == 0
    assert {name: store.statistics()[name] for name in before if name is not metrics.JOBS_OLDEST_UNFINISHED_AGE} == {
        name: before[name] for name in before if name is not metrics.JOBS_OLDEST_UNFINISHED_AGE
    }


# --- many at once ----------------------------------------------------------------------------------------------------


def test_many_at_once_never_wait_for_each_other_in_a_circle(stores: PostgresJobStores, postgres: Server) -> None:
    """Whoever accepts, works, sweeps, hands out and adds up, all at the same time, in two lanes with a small window."""
    store = stores.make(broker_window=3, limits=BacklogLimits(quota=1000, max_backlog=1000))
    jobs = [new_job(owner=f"key-{n % 3}", type=("resize", "crop")[n % 2], idempotency_key=str(n)) for n in range(60)]
    errors: list[Exception] = []
    ended: Counter[uuid.UUID] = Counter()
    is_over = threading.Event()

    def work(job_id: uuid.UUID) -> None:
        answer = store.claim(job_id, worker="w")
        if isinstance(answer, Lease):
            outcome, _ = store.complete(answer, a_result(answer), {"render": 1})
            ended[job_id] += outcome is Outcome.DONE

    def over_and_over(act: Callable[[], object]) -> None:
        while not is_over.is_set():
            try:
                act()
            except Exception as exc:
                errors.append(exc)
                return

    def hand_out() -> None:
        for record in store.next_in_line(limit=5):
            work(record.job_id)

    def sweep() -> None:
        store.recover_overdue(limit=20, error=WORKER_CRASHED)
        store.unemitted(limit=5)
        Upkeep(postgres.url, final_kept_s=None).do()
        store.statistics()

    def submit(job: Any) -> None:
        accepted = store.accept(job)
        if not accepted.record.in_lane:
            store.emitted(job.job_id, 1)
            work(job.job_id)

    others = [threading.Thread(target=over_and_over, args=(act,)) for act in (hand_out, hand_out, sweep)]
    for thread in others:
        thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(submit, jobs))
        poll(lambda: errors or sum(store.backlog().by_status.values()) == 0)
    finally:
        is_over.set()
        for thread in others:
            thread.join()
    assert errors == []
    assert ended == Counter({job.job_id: 1 for job in jobs})
    found = store.statistics()
    assert found[metrics.JOBS_ACCEPTED]["resize", "standard"] == 30
    assert found[metrics.JOBS_ENDED]["crop", "standard", "completed", ""] == 30


def test_of_many_sweepers_each_job_is_given_to_one(stores: PostgresJobStores) -> None:
    store = stores.make()
    job_ids = {store.accept(new_job()).record.job_id for _ in range(30)}
    stores.advance(60)
    with ThreadPoolExecutor(6) as pool:
        sweeps = list(pool.map(lambda _: store.recover_overdue(limit=30, error=WORKER_CRASHED), range(6)))
    swept = [each.record.job_id for sweep in sweeps for each in sweep if each.record and each.step is NextStep.EMIT]
    assert sorted(swept) == sorted(job_ids)


def test_a_quota_is_exact_whoever_asks_at_once(stores: PostgresJobStores) -> None:
    store = stores.make(limits=BacklogLimits(quota=5))

    def accept(_: int) -> bool:
        try:
            return store.accept(new_job()).created
        except QuotaExceededError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(accept, range(20))) == 5


# --- lost answers ----------------------------------------------------------------------------------------------------


class LosesAnswers(PostgresJobStore):
    """The calls named here are carried out, and their answers are lost."""

    lost: tuple[str, ...] = ()

    def _call(self, function: str, *arguments: Any, patient: bool = False) -> Any:
        answer = super()._call(function, *arguments, patient=patient)
        if function in self.lost:
            error = DependencyUnavailableError("jobs", "the test lost the answer")
            raise error from psycopg.OperationalError("lost")
        return answer


@pytest.fixture
def unlucky(postgres: Server, stores: PostgresJobStores) -> Iterator[LosesAnswers]:
    store = LosesAnswers(postgres.url, answer_timeout_s=1.0)
    yield store
    store.close()


def test_a_job_that_was_written_though_its_caller_was_refused_is_taken_back(
    unlucky: LosesAnswers, store: PostgresJobStore
) -> None:
    job = new_job(idempotency_key="k")
    unlucky.lost = ("accept",)
    with pytest.raises(DependencyUnavailableError):
        unlucky.accept(job)
    assert poll(lambda: unlucky._settler.is_idle)
    assert store.get(job.job_id) is None
    assert store.statistics()[metrics.JOBS_RETRACTED]["resize", "standard"] == 1


def test_a_job_that_was_promised_to_another_caller_too_is_not_taken_back(
    unlucky: LosesAnswers, store: PostgresJobStore
) -> None:
    job = new_job(idempotency_key="k")
    unlucky.lost = ("accept",)
    with pytest.raises(DependencyUnavailableError):
        unlucky.accept(job)
    assert not store.accept(job).created
    assert poll(lambda: unlucky._settler.is_idle)
    assert store.get(job.job_id) is not None


def test_an_accept_that_comes_too_late_accepts_nothing(stores: PostgresJobStores, store: PostgresJobStore) -> None:
    job = new_job()
    asked = f'[{{"id": "{job.job_id}", "type": "resize", "cost": "standard", "owner": "", "key": "", "webhooks": ""}}]'
    assert store._call("accept", 1, "caller", asked)["code"] == "late"
    assert number(stores, "SELECT count(*) FROM darkroom.jobs") == 0


def test_what_is_still_being_accepted_is_waited_for_before_it_is_taken_back(
    stores: PostgresJobStores, store: PostgresJobStore
) -> None:
    """Its deadline is over, and its transaction is not."""
    job = store.accept(new_job()).record
    caller = stores.client.execute("SELECT caller FROM darkroom.jobs").fetchone()
    assert caller is not None
    taken_back: list[Any] = []
    with stores.client.transaction():
        stores.client.execute("SELECT darkroom.lock_name(%s)", (f"caller:{caller[0]}",))
        thread = threading.Thread(
            target=lambda: taken_back.append(store._call("retract", caller[0], 0, [job.job_id])), daemon=True
        )
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        assert poll(lambda: number(stores, waiting))
        assert taken_back == []
    thread.join()
    assert taken_back == ["done"]
    assert store.get(job.job_id) is None


def test_a_claim_whose_answer_was_lost_does_not_count(unlucky: LosesAnswers, store: PostgresJobStore) -> None:
    job_id = store.accept(new_job()).record.job_id
    unlucky.lost = ("claim",)
    with pytest.raises(DependencyUnavailableError):
        unlucky.claim(job_id, worker="w", token="t1")
    assert poll(lambda: unlucky._settler.is_idle)
    record = store.get(job_id)
    assert record is not None
    assert (record.status, record.attempts) == (JobStatus.QUEUED, 0)
    with pytest.raises(DependencyUnavailableError, match="came too late"):
        store.claim(job_id, worker="w", token="t1")


def test_a_release_is_repeated_until_it_is_heard(unlucky: LosesAnswers) -> None:
    lease = claimed(unlucky)
    unlucky.lost = ("release",)
    with pytest.raises(DependencyUnavailableError):
        unlucky.release(lease, WORKER_CRASHED, counts=False)
    unlucky.lost = ()
    assert poll(lambda: unlucky._settler.is_idle)
    record = unlucky.get(lease.job_id)
    assert record is not None
    assert (record.status, record.attempts) == (JobStatus.QUEUED, 0)


# --- lost servers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PostgresServer]:
    with running(postgres_server(tmp_path)) as server:
        assert isinstance(server, PostgresServer)
        schema.prepare(server.url)
        yield server


def test_nothing_is_connected_before_the_first_call() -> None:
    with listening() as server:
        before = threads_of_this_process()
        store = PostgresJobStore(f"postgresql://x@{server.address}/postgres", answer_timeout_s=0.2)
        assert threads_of_this_process() <= before
        assert not server.was_connected_to()
        with pytest.raises(DependencyUnavailableError, match="jobs: ConnectionTimeout"):
            store.check()
        assert server.was_connected_to()


def test_a_process_has_four_connections_for_which_callers_wait(postgres: Server) -> None:
    connections = Connections(postgres.url, answer_timeout_s=10)
    with ThreadPoolExecutor(max_workers=16) as threads:
        asked = threads.map(lambda _: connections.ask("SELECT pg_backend_pid(), pg_sleep(0.02)")[0][0], range(64))
        backends = set(asked)
    connections.close()
    assert 1 < len(backends) <= 4


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = PostgresJobStore("postgresql://x@127.0.0.1:9/postgres")
    with pytest.raises(DependencyUnavailableError, match="refused"):
        store.check()


def test_a_paused_server_is_unavailable_in_time_and_then_has_no_refused_job(own_server: PostgresServer) -> None:
    store = PostgresJobStore(own_server.url, answer_timeout_s=0.5)
    kept = store.accept(new_job()).record
    job = new_job()
    with own_server.paused(), pytest.raises(DependencyUnavailableError):
        store.accept(job)
    assert poll(lambda: store._settler.is_idle)
    assert poll(lambda: _get(store, kept.job_id))
    assert store.get(job.job_id) is None, "its caller was told that nothing was accepted"
    store.close()


def _get(store: PostgresJobStore, job_id: uuid.UUID) -> object:
    with suppress(DependencyUnavailableError):
        return store.get(job_id)
    return None


def test_a_server_that_was_killed_has_every_job_and_is_found_again_at_once(own_server: PostgresServer) -> None:
    store = PostgresJobStore(own_server.url)
    lease = claimed(store)
    job_ids = [store.accept(new_job()).record.job_id for _ in range(50)]

    own_server.restart()

    assert store.renew(lease) is Outcome.DONE
    assert store.complete(lease, a_result(lease), {})[0] is Outcome.DONE
    assert [job_id for job_id in job_ids if store.get(job_id) is None] == []
    store.close()


def test_a_server_that_does_not_wait_for_its_disk_fails_the_check(database: str, stores: PostgresJobStores) -> None:
    schema.prepare(database)
    name = database.rpartition("/")[2]
    stores.client.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off")
    store = PostgresJobStore(database)
    with pytest.raises(DependencyUnavailableError, match="synchronous_commit must not be off"):
        store.check()
    store.close()


def test_short_retentions_are_kept_to_by_the_sweep(stores: PostgresJobStores) -> None:
    store = stores.make(times=JobTimes(final_kept_s=60))
    lease = completed(store)
    stores.advance(61)
    store.recover_overdue(limit=1, error=WORKER_CRASHED)
    assert store.get(lease.job_id) is None
