"""A copy made by pg_dump beside traffic, restored elsewhere, is a job store that goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

from darkroom.adapters.jobs import Lease, Outcome
from darkroom.adapters.jobs.postgres import schema
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from tests.contract.job_stores import a_result, new_job
from tests.contract.postgres_stores import PostgresJobStores
from tests.servers import Server, postgres_program


def test_a_dump_that_is_restored_elsewhere_goes_on(postgres: Server, tmp_path: Path) -> None:
    stores = PostgresJobStores(postgres.url)
    store = stores.make()
    lease = store.claim(store.accept(new_job()).record.job_id, worker="w")
    assert isinstance(lease, Lease)
    done = store.claim(store.accept(new_job(idempotency_key="k")).record.job_id, worker="w")
    assert isinstance(done, Lease)
    store.complete(done, a_result(done), {"render": 1})
    file = tmp_path / "darkroom.dump"
    _run("pg_dump", "--format=custom", "--schema=darkroom", f"--file={file}", postgres.url)
    expected = store.get(done.job_id)

    with psycopg.connect(postgres.url, autocommit=True) as client:
        client.execute("CREATE DATABASE restored")
    url = postgres.url.replace("/postgres", "/restored")
    _run("pg_restore", "--no-owner", f"--dbname={url}", str(file))

    assert schema.prepare(url) == [], "all its migrations are there"
    restored = PostgresJobStore(url)
    assert restored.get(done.job_id) == expected
    assert not restored.accept(new_job(idempotency_key="k")).created
    assert restored.complete(lease, a_result(lease), {})[0] is Outcome.DONE
    assert restored.without_record([lease.job_id]) == set()
    restored.close()
    stores.empty()
    with psycopg.connect(postgres.url, autocommit=True) as client:
        client.execute("DROP DATABASE restored WITH (FORCE)")


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([postgres_program(program), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
