"""Faults of a PostgreSQL that is the job store. What hurts the rest of the stack is in chaos.py."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import Any

import psutil
import psycopg

from tests.faults.chaos import KINDS, Fault, Kinds, network
from tests.faults.faulty_stack import FaultyStack
from tests.faults.postgres_stack import FaultyPostgresStack
from tests.faults.proxy import Manner, Proxy
from tests.servers import ServerFailedError

_OURS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'darkroom'"
_PREPARED = b"_pg3_"
"""What psycopg calls its prepared statements, as which every call but the first of a kind is sent."""


def kill(faulty: FaultyStack, fault: Fault) -> None:
    _postgres(faulty).pair.primary.restart()


def pause(faulty: FaultyStack, fault: Fault) -> None:
    with _postgres(faulty).pair.primary.paused():
        time.sleep(fault.lasts_s)


def fail_over(faulty: FaultyStack, fault: Fault) -> None:
    _postgres(faulty).pair.fail_over()


def take_all_connections(faulty: FaultyStack, fault: Fault) -> None:
    """Somebody else has them all, those of the functions too."""
    pair, ends_at = _postgres(faulty).pair, time.monotonic() + fault.lasts_s
    with ExitStack() as taken, pair.client() as client:
        while time.monotonic() < ends_at:
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(pair.url, application_name="greedy", connect_timeout=2))
            client.execute(_OURS)
            time.sleep(0.05)


def fill_disk(faulty: FaultyStack, fault: Fault) -> None:
    """Files that may not grow. PostgreSQL panics when it cannot write its log, and cannot start again meanwhile."""
    pair = _postgres(faulty).pair
    pair.primary.limit_files(0)
    time.sleep(fault.lasts_s)
    with suppress(ServerFailedError, psutil.NoSuchProcess):  # it may have given up
        pair.primary.limit_files(None)
    pair.revive()


def _postgres(faulty: FaultyStack) -> FaultyPostgresStack:
    if not isinstance(faulty, FaultyPostgresStack):
        raise TypeError("this stack's job store is not PostgreSQL")
    return faulty


def _proxy(faulty: FaultyStack) -> Proxy:
    return _postgres(faulty).postgres


def _of_no_job_store() -> dict[str, Any]:
    return {kind: entry for kind, entry in KINDS.items() if "redis" not in kind and "job store" not in kind}


POSTGRES_KINDS: Kinds = {
    **_of_no_job_store(),
    "postgres killed": (3, kill),
    "postgres paused": (2, pause),
    "postgres out of connections": (2, take_all_connections),
    "postgres' disk full": (2, fill_disk),
    "postgres failed over to its copy": (2, fail_over),
    "postgres cut off": (2, network(_proxy, Manner(cut=True))),
    "postgres slow": (1, network(_proxy, Manner(delay_s=0.3))),
    "postgres' answers lost": (2, network(_proxy, Manner(swallow_answers_to=_PREPARED))),
}
"""How often each is drawn in proportion, and what it does."""
