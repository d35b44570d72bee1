"""A running `darkroom up` on PostgreSQL, and the ledger that reads its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.ledger import Ledger
from tests.faults.postgres_pair import PostgresPair, postgres_pair
from tests.faults.proxy import Proxy
from tests.stack import RunningStack, running_stack


@dataclass
class PostgresStack(FaultyStack):
    @property
    def postgres_url(self) -> str:
        return self.stack.addresses["postgres"]

    @property
    def store(self) -> PostgresJobStore:  # type: ignore[override]
        return PostgresJobStore(self.postgres_url)


@dataclass
class FaultyPostgresStack(PostgresStack):
    """Its job store is a pair of servers behind a proxy, of which the stack knows nothing else."""

    pair: PostgresPair
    postgres: Proxy

    @property
    def postgres_url(self) -> str:
        return self.pair.url


class PostgresLedger(Ledger):
    def __init__(self, faulty: PostgresStack) -> None:
        super().__init__(faulty)
        self._of = faulty

    def _jobs(self) -> dict[str, dict[str, str]]:
        with psycopg.connect(self._of.postgres_url, autocommit=True) as connection:
            rows: list[Any] = connection.execute(
                "SELECT id::text, status, request_id, error::text FROM darkroom.jobs "
                "UNION ALL SELECT id::text, status, request_id, error::text FROM darkroom.finished"
            ).fetchall()
        assert len({row[0] for row in rows}) == len(rows), "a job is in both tables"
        return {job_id: {"status": status, "request_id": of, "error": error} for job_id, status, of, error in rows}


@contextmanager
def postgres_stack(folder: Path) -> Iterator[PostgresStack]:
    """Nothing stands before its servers: the proxies are not used."""

    def nowhere() -> tuple[str, int]:
        return "127.0.0.1", 1

    redis, s3 = Proxy(nowhere), Proxy(nowhere)
    try:
        with running_stack(folder / "data", "--job-store", "postgres") as stack:
            yield PostgresStack(stack=_known(stack), redis=redis, s3=s3, folder=folder)
    finally:
        redis.close()
        s3.close()


@contextmanager
def faulty_postgres_stack(folder: Path, **options: Any) -> Iterator[FaultyPostgresStack]:
    """`options` are those of faulty_stack."""
    with postgres_pair(folder / "pair") as pair:
        proxy = Proxy(lambda: pair.address)
        url = f"postgresql://tests@127.0.0.1:{proxy.port}/postgres"
        try:
            with faulty_stack(folder / "stack", "--postgres", url, has_redis=False, **options) as faulty:
                yield FaultyPostgresStack(
                    stack=_known(faulty.stack),
                    redis=faulty.redis,
                    s3=faulty.s3,
                    folder=faulty.folder,
                    pair=pair,
                    postgres=proxy,
                )
        finally:
            proxy.close()


def _known(stack: RunningStack) -> RunningStack:
    assert "redis" not in stack.addresses or stack.addresses["redis"] is None, "no Redis runs"
    return stack
