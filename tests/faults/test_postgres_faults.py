"""A PostgreSQL that has no connection left, whose disk is full, and that fails over to its copy, while clients go
on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.chaos import Fault
from tests.faults.postgres_chaos import POSTGRES_KINDS
from tests.faults.postgres_stack import PostgresLedger, faulty_postgres_stack
from tests.stack import eventually

pytestmark = pytest.mark.slow
JOBS = 60
SETTLED_WITHIN_S = 150
WOUNDS = ("postgres out of connections", "postgres' disk full", "postgres failed over to its copy")


def test_no_connections_a_full_disk_and_a_failover_lose_double_and_delay_no_job_for_ever(
    tmp_path: Path, photograph: bytes
) -> None:
    with faulty_postgres_stack(tmp_path, fragile=False, sweep_s=3) as faulty:
        ledger = PostgresLedger(faulty)
        ledger.insist("resize", photograph, width=100)
        with ThreadPoolExecutor(4) as clients:
            posts = [
                clients.submit(ledger.insist, "resize", photograph, tries=200, width=50 + number)
                for number in range(JOBS)
            ]
            for wound in WOUNDS:
                target = min(sum(post.done() for post in posts) + JOBS // 6, JOBS)
                eventually(
                    lambda target=target: sum(post.done() for post in posts) >= target,  # type: ignore[misc]
                    within_s=120,
                    what="clients go on",
                )
                POSTGRES_KINDS[wound][1](faulty, Fault(at_s=0, kind=wound, lasts_s=1.5, pick=0))
            for post in posts:
                post.result()
        ledger.settle(within_s=SETTLED_WITHIN_S)
        verdict = ledger.verdict()
        print(f"\n{verdict.counts()}")  # noqa: T201 - the figures are wanted as much as the verdict
        verdict.assert_nothing_lost_doubled_or_stuck()
        assert verdict.completed == JOBS + 1
