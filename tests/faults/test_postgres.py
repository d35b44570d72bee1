"""The whole pipeline on PostgreSQL, whose server is killed and paused while clients go on."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.postgres_stack import PostgresLedger, PostgresStack, postgres_stack
from tests.pausing import paused
from tests.stack import eventually

pytestmark = pytest.mark.slow
JOBS = 60
SETTLED_WITHIN_S = 120


def test_a_server_that_is_killed_and_paused_loses_doubles_and_delays_no_job_for_ever(
    tmp_path: Path, photograph: bytes
) -> None:
    with postgres_stack(tmp_path) as faulty:
        ledger = PostgresLedger(faulty)
        ledger.insist("resize", photograph, width=100)
        with ThreadPoolExecutor(4) as clients:
            posts = [
                clients.submit(ledger.insist, "resize", photograph, tries=200, width=50 + number)
                for number in range(JOBS)
            ]
            for wound in (kill, pause, kill):
                target = sum(post.done() for post in posts) + JOBS // 6
                eventually(
                    lambda target=target: sum(post.done() for post in posts) >= min(target, JOBS),  # type: ignore[misc]
                    within_s=120,
                    what="clients go on",
                )
                wound(faulty)
            for post in posts:
                post.result()
        ledger.settle(within_s=SETTLED_WITHIN_S)
        verdict = ledger.verdict()
        print(f"\n{verdict.counts()}")  # noqa: T201 - the figures are wanted as much as the verdict
        verdict.assert_nothing_lost_doubled_or_stuck()
        assert verdict.completed == JOBS + 1


def kill(faulty: PostgresStack) -> None:
    seen = faulty.stack.now()
    psutil.Process(faulty.stack.server_pid("postgres")).send_signal(signal.SIGKILL)
    eventually(
        lambda: faulty.stack.events(since=seen, action="server.restarted"), within_s=60, what="the server is back"
    )


def pause(faulty: PostgresStack) -> None:
    """All of its processes: one session that stands still would tell little."""
    server = psutil.Process(faulty.stack.server_pid("postgres"))
    seen = faulty.stack.now()
    with ExitStack() as stack:
        for process in [server, *server.children(recursive=True)]:
            with suppress(ProcessLookupError):
                stack.enter_context(paused(process.pid))
        eventually(
            lambda: faulty.stack.events(since=seen, action="server.unhealthy"),
            within_s=60,
            what="the runtime notices that the server does not answer",
        )
    eventually(
        lambda: faulty.stack.events(since=seen, action="server.recovered"), within_s=60, what="the server is back"
    )
