"""`darkroom jobs move`, run in this process against real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from darkroom.cli.commands import command
from tests.contract.job_stores import new_job
from tests.contract.moving_stores import MovingJobStores
from tests.contract.test_moving import accepted_before, completed_before, leased_before
from tests.servers import Server


@pytest.fixture
def stores(redis: Server, postgres: Server) -> Iterator[MovingJobStores]:
    made = MovingJobStores(redis.url, postgres.url)
    yield made
    made.close()


def move(stores: MovingJobStores, *options: str) -> Result:
    urls = ["--redis", stores.old.url, "--postgres", stores.new.url]
    return CliRunner().invoke(command, ["jobs", "move", "--from", "redis", "--to", "postgres", *urls, *options])


def test_it_does_not_begin_before_functions_accept_into_postgres(stores: MovingJobStores) -> None:
    completed_before(stores.make())
    refused = move(stores)
    assert refused.exit_code == 1
    assert "JOB_STORE_FROM=redis first" in refused.output
    assert stores.old.client.keys("darkroom:job:*")


def test_it_moves_everything_and_may_be_run_again(stores: MovingJobStores) -> None:
    store = stores.make()
    for _ in range(3):
        completed_before(store)
    store.accept(new_job())
    assert json.loads(move(stores, "--json").output) == {"moved": 3, "already_there": 0, "unreadable": 0}
    assert json.loads(move(stores, "--json").output) == {"moved": 0, "already_there": 0, "unreadable": 0}


def test_with_no_function_running_it_is_told_so(stores: MovingJobStores) -> None:
    job = accepted_before(stores.make())
    stores.make()._old.emitted(job.job_id, 1)
    assert "moved 1 jobs" in move(stores, "--stopped").output


def test_a_job_that_stays_under_way_is_named_in_the_end(stores: MovingJobStores) -> None:
    leased_before(stores.make())
    waited = move(stores, "--stopped", "--within", "0s")
    assert waited.exit_code == 1
    assert "1 jobs are still under way in Redis" in waited.output


def test_a_record_that_cannot_be_read_is_not_lost(stores: MovingJobStores) -> None:
    lease = completed_before(stores.make())
    completed_before(stores.make())
    stores.old.client.hset(f"darkroom:job:{lease.job_id}", "status", "paused")
    failed = move(stores, "--stopped")
    assert failed.exit_code == 1
    assert "1 records are of another version" in failed.output
    assert stores.old.client.hget(f"darkroom:moving:{lease.job_id}", "status") == "paused"


def test_a_server_that_is_not_there_is_named(stores: MovingJobStores) -> None:
    options = ["--from", "redis", "--to", "postgres", "--redis", "redis://127.0.0.1:9/0", "--postgres", stores.new.url]
    failed = CliRunner().invoke(command, ["jobs", "move", *options])
    assert failed.exit_code == 1
    assert "run it again" in failed.output
