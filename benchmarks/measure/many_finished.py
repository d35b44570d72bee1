"""Finished jobs by the million, made by SQL in the tables of the job store in PostgreSQL.

The rows have the sizes of real ones: what a resize of one owner's upload leaves. They are spread over the last days,
and over owners. Indexes are dropped for as long as rows are added, and the server writes no log
that nobody reads: ten million take some minutes.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

OWNERS = 200
DAYS = 7
_ROWS_AT_ONCE = 500_000
_PARTITION = "SELECT 'darkroom.finished_' || to_char(current_date - %s, 'YYYYMMDD')"
_FILL = """
INSERT INTO {partition} (
    id, type, cost, status, owner, parameters, storage_key, request_id, fingerprint, trace, webhooks, turn,
    created, attempts, emissions, fence, worker, started, finished, history, result, timings)
SELECT id, 'resize', 'standard', 'completed', 'key-' || floor({owners} * random())::int,
    '{{"width":400,"height":300}}', 'uploads/' || id || '/original.jpg', gen_random_uuid()::text, md5(id::text) ||
    md5(n::text), '', '', 1, ended - interval '900 ms', 1, 1, 1, 'resize-00001-deployment-6d4b:17:0', ended - interval
    '700 ms', ended, '[[1, 200, 900, "", "resize-00001-deployment-6d4b:17:0"]]', jsonb_build_object('storage_key',
    'processed/' || id || '.jpg', 'content_type', 'image/jpeg', 'width', 400,
        'height', 300, 'bytes', 27272, 'placeholder', NULL),
    '{{"fetch": 5, "render": 61, "store": 7}}'
FROM (
    SELECT n, gen_random_uuid() AS id,
        date_trunc('milliseconds', current_date - {ago} + n * interval '1 day' / {number}) AS ended
    FROM generate_series({first}, {last}) AS n
) AS made
"""


def fill(url: str, jobs: int) -> float:
    """Add so many finished jobs. Returns how many seconds it took."""
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as client:
        client.execute("SELECT darkroom.make_past_partitions(%s)", (DAYS + 1,))
        indexes = _indexes(client)
        for name, _ in indexes:
            client.execute(f"DROP INDEX darkroom.{name}")
    per_day = jobs // DAYS
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda ago: _fill_day(url, ago, per_day), range(1, DAYS + 1)))
    with psycopg.connect(url, autocommit=True) as client:
        client.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            client.execute(definition)
        client.execute("ANALYZE darkroom.finished")
        client.execute("CHECKPOINT")
    return time.monotonic() - began


def _indexes(client: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    rows = client.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'darkroom' AND tablename = 'finished'"
    ).fetchall()
    # "ON ONLY" would leave the partitions without.
    return [(name, re.sub(r" ON ONLY ", " ON ", definition)) for name, definition in rows]


def _fill_day(url: str, ago: int, number: int) -> None:
    with psycopg.connect(url, autocommit=True) as client:
        client.execute("SET synchronous_commit = off; SET timezone = 'UTC'")
        found = client.execute(
            "SELECT 'darkroom.finished_' || to_char(current_date - %s, 'YYYYMMDD')", (ago,)
        ).fetchone()
        if found is None:
            raise RuntimeError("PostgreSQL answered nothing")
        # Rows that nobody changes need none, and it would come in the middle of a measurement.
        client.execute(f"ALTER TABLE {found[0]} SET (autovacuum_enabled = off)")
        for first in range(0, number, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, number) - 1
            client.execute(
                _FILL.format(partition=found[0], owners=OWNERS, ago=ago, number=number, first=first, last=last)
            )
