"""Job stores in PostgreSQL whose clock a test can turn: every moment that is stored moves into the past."""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg

from darkroom.adapters.jobs.postgres import schema
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
    def __init__(self, url: str) -> None:
        self.url = url
        _prepare(url)
        self.client = psycopg.connect(url, autocommit=True)
        self.empty()
        self._made: list[PostgresJobStore] = []

    def empty(self) -> None:
        self.client.execute(_EMPTY)

    def make(self, **rules: Any) -> PostgresJobStore:
        store = PostgresJobStore(self.url, **rules)
        self._made.append(store)
        return store

    def advance(self, seconds: float) -> None:
        self.client.execute(_INTO_THE_PAST, {"seconds": seconds})

    def close(self) -> None:
        for store in self._made:
            store.close()
        self.client.close()


@cache
def _prepare(url: str) -> None:
    schema.prepare(url)
