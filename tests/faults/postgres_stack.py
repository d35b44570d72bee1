"""A running `darkroom up --job-store postgres`, and the ledger that reads its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from tests.faults.faulty_stack import FaultyStack
from tests.faults.ledger import Ledger
from tests.faults.proxy import Proxy
from tests.stack import RunningStack, running_stack


@dataclass
class PostgresStack(FaultyStack):
    """Nothing stands before its servers: the proxies are not used."""

    @property
    def store(self) -> PostgresJobStore:  # type: ignore[override]
        return PostgresJobStore(self.stack.addresses["postgres"])


class PostgresLedger(Ledger):
    def _jobs(self) -> dict[str, dict[str, str]]:
        with psycopg.connect(self._faulty.stack.addresses["postgres"], autocommit=True) as connection:
            rows: list[Any] = connection.execute(
                "SELECT id::text, status, request_id, error::text FROM darkroom.jobs "
                "UNION ALL SELECT id::text, status, request_id, error::text FROM darkroom.finished"
            ).fetchall()
        assert len({row[0] for row in rows}) == len(rows), "a job is in both tables"
        return {job_id: {"status": status, "request_id": of, "error": error} for job_id, status, of, error in rows}


@contextmanager
def postgres_stack(folder: Path) -> Iterator[PostgresStack]:
    def nowhere() -> tuple[str, int]:
        return "127.0.0.1", 1

    redis, s3 = Proxy(nowhere), Proxy(nowhere)
    try:
        with running_stack(folder / "data", "--job-store", "postgres") as stack:
            yield PostgresStack(stack=_known(stack), redis=redis, s3=s3, folder=folder)
    finally:
        redis.close()
        s3.close()


def _known(stack: RunningStack) -> RunningStack:
    assert "redis" not in stack.addresses or stack.addresses["redis"] is None, "no Redis runs"
    return stack
