"""Two PostgreSQL servers, of which one follows the other synchronously: what was committed is on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import PostgresServer, postgres_copy, postgres_server
from tests.stack import eventually

MAX_CONNECTIONS = 80
_FOLLOWS_WITHIN_S = 60.0


class PostgresPair:
    """`primary` takes writes. `fail_over` kills it, promotes the copy, and makes another one."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {**_SETTINGS, **settings}
        self._made = 0
        self.primary = postgres_server(self._next_folder(), **self._settings)
        self.copy: PostgresServer | None = None

    @property
    def url(self) -> str:
        return self.primary.url

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.rpartition("@")[2].partition("/")[0].partition(":")
        return host, int(port)

    def start(self) -> None:
        self.primary.start()
        self._make_copy()

    def kill(self) -> None:
        for server in (self.primary, self.copy):
            if server is not None:
                server.kill()

    def fail_over(self) -> None:
        if self.copy is None:
            raise AssertionError("there is no copy to fail over to")
        self.primary.kill()
        self.primary, self.copy = self.copy, None
        with self.client() as client:
            client.execute("SELECT pg_promote(true, 60)")
            # Until there is another copy, nobody could confirm a commit.
            client.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            client.execute("SELECT pg_reload_conf()")
        self._make_copy()

    def revive(self) -> None:
        """Start the primary again if it gave up."""
        if not self._answers():
            self.primary.restart()

    @contextmanager
    def client(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url, autocommit=True, application_name="tests", connect_timeout=10) as client:
            yield client

    def _make_copy(self) -> None:
        copy = postgres_copy(self._next_folder(), self.primary, **self._settings)
        copy.start()
        self.copy = copy
        eventually(self._is_followed, within_s=_FOLLOWS_WITHIN_S, what="the copy follows")
        with self.client() as client:
            client.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            client.execute("SELECT pg_reload_conf()")
        eventually(self._is_confirmed, within_s=_FOLLOWS_WITHIN_S, what="the copy confirms commits")

    def _is_followed(self) -> bool:
        with self.client() as client:
            return bool(client.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'").fetchone())

    def _is_confirmed(self) -> bool:
        with self.client() as client:
            return bool(client.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone())

    def _answers(self) -> bool:
        with suppress(psycopg.Error), self.client() as client:
            return bool(client.execute("SELECT 1").fetchone())
        return False

    def _next_folder(self) -> Path:
        self._made += 1
        return self._folder / f"postgres-{self._made}"


_SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_connections": str(MAX_CONNECTIONS),
    "wal_keep_size": "256MB",
    "shared_buffers": "32MB",
    "fsync": "off",  # no machine loses power here; what is killed has handed its writes to the kernel
}


@contextmanager
def postgres_pair(folder: Path) -> Iterator[PostgresPair]:
    pair = PostgresPair(folder)
    try:
        pair.start()
        yield pair
    finally:
        pair.kill()
