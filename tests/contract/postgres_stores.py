"""Job stores in PostgreSQL whose clock a test can turn: every moment that is stored moves into the past."""

from __future__ import annotations

from typing import Any

import psycopg

from darkroom.adapters.jobs.postgres import schema
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.store import PostgresJobStore

_TABLES = (
    "jobs",
    "finished",
    "given_up",
    "bindings",
    "lanes",
    "turns",
    "tallied",
    "totals",
    "rates",
    "keepers_owed",
    "erased",
    "erasure_key",
    "erasures",
    "uses",
    "owed",
    "sending",
)
_EMPTY = "; ".join(f"DELETE FROM darkroom.{table}" for table in _TABLES)
_INTO_THE_PAST = """
WITH by AS (SELECT %(seconds)s * interval '1 second' AS span),
    jobs AS (
        UPDATE darkroom.jobs SET created = created - span, due = due - span, claimed = claimed - span,
            restored = restored - span,
            lease = lease - span, started = started - span
        FROM by),
    finished AS (
        UPDATE darkroom.finished SET created = created - span, started = started - span, finished = finished - span,
            restored = restored - span
        FROM by),
    erasures AS (UPDATE darkroom.erasures SET due = due - span, again = again - span FROM by),
    owed AS (
        -- A letter that is handed out again is the same, its moment included.
        UPDATE darkroom.owed SET since = CASE WHEN given_up IS NULL THEN since - span ELSE since END, due = due - span,
            given_up = given_up - span
        FROM by),
    sending AS (UPDATE darkroom.sending SET until = until - span FROM by),
    bindings AS (UPDATE darkroom.bindings SET until = until - span FROM by)
UPDATE darkroom.given_up SET due = due - span FROM by
"""


class PostgresJobStores:
    """Those of one test after the other use the same connections: each new one would compile the functions again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._server = _server(url)
        self.client = self._server.client
        self.empty()
        self._made: list[PostgresJobStore] = []

    def empty(self) -> None:
        self.client.execute(_EMPTY)

    def make(self, **rules: Any) -> PostgresJobStore:
        store = PostgresJobStore(self.url, **rules)
        if "answer_timeout_s" not in rules:
            store._connections = store._owed._connections = self._server.connections
        self._made.append(store)
        return store

    def advance(self, seconds: float) -> None:
        self.client.execute(_INTO_THE_PAST, {"seconds": seconds})

    def close(self) -> None:
        for store in self._made:
            store.close()


class _SharedConnections(Connections):
    def close(self) -> None:
        """Keep them: a store that is closed is not the last one."""

    def disconnect(self) -> None:
        super().close()


class _PreparedServer:
    def __init__(self, url: str) -> None:
        schema.prepare(url)
        self.client = psycopg.connect(url, autocommit=True)
        self.connections = _SharedConnections(url, answer_timeout_s=2.0)


_servers: dict[str, _PreparedServer] = {}


def _server(url: str) -> _PreparedServer:
    if url not in _servers:
        _servers[url] = _PreparedServer(url)
    return _servers[url]


def disconnect(url: str) -> None:
    """Close what the stores of this server shared."""
    server = _servers.pop(url, None)
    if server is not None:
        server.connections.disconnect()
        server.client.close()
