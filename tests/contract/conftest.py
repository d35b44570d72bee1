"""The real servers of the contract suites: one of each for the whole run, started when the first test requests it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract import postgres_stores
from tests.servers import Server, nats_server, postgres_server, redis_server, running, s3_server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It is never killed, so nothing waits for its disk. What must outlive a server is tested with one that writes."""
    with running(redis_server(tmp_path_factory.mktemp("redis"), "--appendonly", "no")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It is never killed either, so nothing waits for its disk."""
    folder = tmp_path_factory.mktemp("postgres")
    with running(postgres_server(folder, fsync="off", full_page_writes="off")) as server:
        yield server
        postgres_stores.disconnect(server.url)


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(nats_server(tmp_path_factory.mktemp("nats"))) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(s3_server(tmp_path_factory.mktemp("s3"))) as server:
        yield server
