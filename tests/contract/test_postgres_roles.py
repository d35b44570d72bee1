"""Who may do what in PostgreSQL: each function as its own role does its work, and is refused everything else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors

from darkroom.adapters.jobs import KeptJob, Lease, NextStep, Outcome, Restoration
from darkroom.adapters.jobs.admission import BacklogLimits, JobName
from darkroom.adapters.jobs.erasing import Cancelled, Erased
from darkroom.adapters.jobs.owed import SendOutcome
from darkroom.adapters.jobs.postgres import roles, schema
from darkroom.adapters.jobs.postgres.notices import PostgresJobNotices
from darkroom.adapters.jobs.postgres.reading import PostgresJobReader
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.postgres.upkeep import Upkeep
from darkroom.adapters.jobs.searching import JobSearch
from darkroom.adapters.rates.postgres import PostgresRateLimiter
from darkroom.contract.errors import DependencyUnavailableError, ImageCrashedError, JobTimeoutError
from darkroom.contract.metrics import JOBS_ENDED
from darkroom.contract.rates import Rate
from tests.contract.job_stores import a_result, new_job
from tests.contract.postgres_stores import PostgresJobStores
from tests.servers import Server

NAMES = (*roles.ROLES, roles.OPERATOR)
WORKERS = ("resize", "crop", "renditions")
CRASHED = ImageCrashedError("a test")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


@pytest.fixture(scope="module")
def client(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    stores = PostgresJobStores(postgres.url)
    for name in NAMES:
        stores.client.execute(f"CREATE ROLE {roles.PREFIX}{name} LOGIN")
    schema.prepare(postgres.url)
    yield stores.client
    stores.empty()
    for name in NAMES:
        stores.client.execute(f"DROP OWNED BY {roles.PREFIX}{name}; DROP ROLE {roles.PREFIX}{name}")


@pytest.fixture
def url(postgres: Server, client: psycopg.Connection[Any]) -> Callable[[str], str]:
    return lambda name: postgres.url.replace("tests@", f"{roles.PREFIX}{name}@")


@pytest.fixture
def store(url: Callable[[str], str]) -> Iterator[Callable[..., PostgresJobStore]]:
    made: list[PostgresJobStore] = []

    def make(name: str, **rules: Any) -> PostgresJobStore:
        made.append(PostgresJobStore(url(name), **rules))
        return made[-1]

    yield make
    for each in made:
        each.close()


# --- what each needs -------------------------------------------------------------------------------------------------


def test_every_job_ends_with_each_function_as_its_own_role(store: Callable[..., PostgresJobStore]) -> None:
    ingest, status = store("ingest", limits=BacklogLimits(quota=1000, max_backlog=1000)), store("status")
    for worker in map(store, WORKERS):
        ingest.admission("key-1", [JobName(idempotency_key="k")])
        job_id = ingest.accept(new_job(idempotency_key=uuid.uuid4().hex)).record.job_id
        ingest.emitted(job_id, 1)
        lease = worker.claim(job_id, worker="w")
        assert isinstance(lease, Lease)
        worker.renew(lease)
        worker.release(lease, JobTimeoutError("a test"), counts=False)
        assert isinstance(worker.claim(job_id, worker="w", token="t1"), Lease)
        worker.withdraw(job_id, "t1")
        lease = worker.claim(job_id, worker="w")
        assert isinstance(lease, Lease)
        worker.rendered(lease, "name", a_result(lease))
        assert worker.complete(lease, a_result(lease), {"render": 1})[0] is Outcome.DONE
        worker.next_in_line(limit=1)
        worker.unemitted(limit=1)
        assert [job.job_id for job in status.list_jobs("key-1", limit=1).records] == [job_id]


def test_a_job_is_cancelled_erased_and_restored(store: Callable[..., PostgresJobStore]) -> None:
    ingest, recovery, resize = store("ingest"), store("recovery"), store("resize")
    job_id = ingest.accept(new_job()).record.job_id
    lease: Any = resize.claim(job_id, worker="w")
    assert isinstance(ingest.cancel(job_id, owner="key-1"), Cancelled)
    assert resize.complete(lease, a_result(lease), {})[0] is Outcome.STALE
    assert isinstance(ingest.erase(job_id, owner="key-1"), Erased)
    assert isinstance(resize.claim(job_id, worker="w"), Erased)
    for erasure in recovery.due_erasures(limit=10):
        recovery.erasure_done(erasure)
    assert recovery.is_erased(job_id)
    ingest.owe_keeper(job_id, b"{}")
    ingest.owe_keeper(job_id, b"{}")
    assert recovery.owed_keepers(limit=5) == {job_id: b"{}"}
    recovery.keeper_written(job_id)
    lost = new_job()
    assert recovery.without_record([lost.job_id]) == {lost.job_id}
    assert recovery.restore([KeptJob(new=lost, created_at=datetime.now(UTC))]) == [Restoration.QUEUED]


def test_a_job_that_is_given_up_goes_through_recovery_and_a_person(
    store: Callable[..., PostgresJobStore], url: Callable[[str], str]
) -> None:
    ingest, resize, recovery, operator = (store(name) for name in ("ingest", "resize", "recovery", "operator"))
    job_id = ingest.accept(new_job(webhooks="wh_1")).record.job_id
    lease = resize.claim(job_id, worker="w")
    assert isinstance(lease, Lease)
    resize.fail(lease, CRASHED)
    assert recovery.recover(job_id, CRASHED).step in NextStep
    recovery.recover_overdue(limit=10, error=CRASHED)
    Upkeep(url("recovery"), final_kept_s=60).do()
    recovery.kept(job_id)
    recovery.next_in_line(limit=1)
    assert recovery.statistics()[JOBS_ENDED]["resize", "standard", "failed", "image.crashed"] == 1
    assert recovery.owed.due() == {"wh_1": 1}
    notify = store("notify")
    owed = notify.owed.take("wh_1")
    assert owed is not None
    notify.owed.settle(owed, SendOutcome.GIVEN_UP, error="http")
    [letter] = recovery.owed.given_up(limit=5)
    recovery.owed.kept(letter)
    assert operator.owed.owe_again(letter.webhook_id, letter.endpoint_id, letter.body)
    assert operator.redrive(job_id).step is NextStep.EMIT


def test_the_console_finds_cancels_erases_and_redrives(store: Callable[..., PostgresJobStore]) -> None:
    ingest, resize, console = store("ingest"), store("resize"), store("console")
    failed, waiting = (ingest.accept(new_job()).record.job_id for _ in range(2))
    lease = resize.claim(failed, worker="w")
    assert isinstance(lease, Lease)
    resize.fail(lease, CRASHED)
    assert {record.job_id for record in console.search(JobSearch(), limit=50).records} >= {failed, waiting}
    assert console.owed.of_job(failed) == []
    assert console.redrive(failed).step is NextStep.EMIT
    console.emitted(failed, 2)
    console.owe_keeper(failed, b"{}")
    assert isinstance(console.cancel(waiting, owner="key-1"), Cancelled)
    assert isinstance(console.erase(waiting, owner="key-1"), Erased)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reader"])
def test_each_may_ask_what_its_health_needs(store: Callable[..., PostgresJobStore], name: str) -> None:
    store(name).check()


def test_status_reads_waits_and_counts(store: Callable[..., PostgresJobStore], url: Callable[[str], str]) -> None:
    job_id = store("ingest").accept(new_job()).record.job_id

    async def read() -> bool:
        parts = PostgresJobReader(url("status")), PostgresJobNotices(url("status")), PostgresRateLimiter(url("status"))
        reader, notices, rates = parts
        try:
            async with notices.watch(job_id):
                found = await reader.get(job_id)
                return found is not None and (await rates.ask("a-key", Rate(limit=5, period_s=60))).admitted
        finally:
            for part in parts:
                await part.close()

    assert asyncio.run(read())


# --- what each must not ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_role_is_refused_every_verb_on_every_table_that_is_not_its_own(
    client: psycopg.Connection[Any], url: Callable[[str], str], name: str
) -> None:
    tables = _tables(client)
    with psycopg.connect(url(name), autocommit=True) as connection:
        allowed = {(table, verb) for table, column in tables for verb in VERBS if _may(connection, table, column, verb)}
    assert allowed == _rights_to_tables(name, [table for table, _ in tables])


@pytest.mark.parametrize("name", NAMES)
def test_a_role_is_refused_every_function_that_is_not_its_own(
    client: psycopg.Connection[Any], url: Callable[[str], str], name: str
) -> None:
    functions = client.execute(
        "SELECT p.proname, p.provariadic > 0, p.oid::regprocedure::text FROM pg_proc AS p "
        "JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'darkroom'"
    ).fetchall()
    assert {function for function, *_ in functions} >= roles.ENTRY_POINTS
    with psycopg.connect(url(name), autocommit=True) as connection:
        allowed = {each[2] for each in functions if _may_call(connection, each[2], takes_many=each[1])}
    mine = {function for function, *_ in functions} if name == roles.OPERATOR else roles.ROLES[name].functions
    assert allowed == {signature for function, _, signature in functions if function in mine}


@pytest.mark.parametrize("name", NAMES)
def test_no_role_changes_the_database(url: Callable[[str], str], name: str) -> None:
    """Nor has a function look up its names where somebody else may put some."""
    with psycopg.connect(url(name), autocommit=True) as connection:
        for statement in (
            "CREATE TABLE darkroom.mine ()",
            "ALTER TABLE darkroom.jobs ADD COLUMN mine int",
            "DROP TABLE darkroom.jobs",
            "CREATE FUNCTION darkroom.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE ROLE mine",
            "SET ROLE tests",
            "COPY darkroom.totals TO PROGRAM 'true'",
            "UPDATE darkroom.migrations SET checksum = ''",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


def test_status_changes_no_job(store: Callable[..., PostgresJobStore]) -> None:
    job_id = store("ingest").accept(new_job()).record.job_id
    with pytest.raises(DependencyUnavailableError, match="permission denied"):
        store("status").claim(job_id, worker="status")


def test_setting_up_again_takes_back_what_was_given_by_hand(client: psycopg.Connection[Any], postgres: Server) -> None:
    client.execute(
        "GRANT DELETE ON darkroom.jobs TO darkroom_status; GRANT EXECUTE ON FUNCTION darkroom.clock() TO PUBLIC"
    )
    schema.prepare(postgres.url)
    found = client.execute("SELECT has_table_privilege('darkroom_status', 'darkroom.jobs', 'DELETE')").fetchone()
    assert found == (False,)


def _tables(client: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """With a column of each; partitions too, which have rights of their own."""
    return client.execute(
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = 1 "
        "WHERE n.nspname = 'darkroom' AND c.relkind IN ('r', 'p', 'v') ORDER BY 1"
    ).fetchall()


def _rights_to_tables(name: str, tables: list[str]) -> set[tuple[str, str]]:
    if name == roles.OPERATOR:
        return {(table, verb) for table in tables for verb in VERBS[:4] if table not in {"migrations", roles.VIEW}} | {
            (roles.VIEW, "SELECT")
        }
    rights = roles.ROLES[name].tables
    return {(table, verb) for table, verbs in rights.items() for verb in verbs.split(", ")}


def _may(connection: psycopg.Connection[Any], table: str, column: str, verb: str) -> bool:
    statement = {
        "SELECT": f"SELECT {column} FROM darkroom.{table} LIMIT 0",
        "INSERT": f"INSERT INTO darkroom.{table} ({column}) SELECT NULL WHERE false",
        "UPDATE": f"UPDATE darkroom.{table} SET {column} = NULL WHERE false",
        "DELETE": f"DELETE FROM darkroom.{table} WHERE false",
        "TRUNCATE": f"TRUNCATE darkroom.{table}",
    }[verb]
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except (errors.InsufficientPrivilege, errors.WrongObjectType, errors.ObjectNotInPrerequisiteState):
        return False  # a view of a union takes no changes from anybody
    except psycopg.Error:
        return True  # refused for another reason, after the rights were looked at
    return True


def _may_call(connection: psycopg.Connection[Any], signature: str, *, takes_many: bool) -> bool:
    """By calling it, with arguments of its types that are all NULL."""
    types = signature[signature.index("(") + 1 : -1]
    arguments = [f"NULL::{kind}" for kind in types.split(",")] if types else []
    if takes_many:
        arguments[-1] = f"VARIADIC {arguments[-1]}"
    listed = ", ".join(arguments)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL statement_timeout = '5s'")
            connection.execute(f"SELECT {signature[: signature.index('(')]}({listed})")
    except errors.InsufficientPrivilege as exc:
        return "for function" not in str(exc) or signature.partition("(")[0].rpartition(".")[2] not in str(exc)
    except psycopg.Error:
        return True
    return True
