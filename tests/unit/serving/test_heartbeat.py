"""The renewal of leases in a thread of its own, on a job store in memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from darkroom.adapters.jobs import Lease, Outcome
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.heartbeat import Heartbeat
from tests.contract.job_stores import new_job

EVERY_S = 0.02


class Store(MemoryJobStore):
    """Counts the renewals by job, and refuses as many as a test wants first."""

    def __init__(self) -> None:
        super().__init__()
        self.renewed: Counter[Any] = Counter()
        self.refusals = 0
        self.broken = False

    def renew(self, lease: Lease) -> Outcome:
        if self.broken:
            raise ZeroDivisionError
        if self.refusals > 0:
            self.refusals -= 1
            raise DependencyUnavailableError("jobs", "not now")
        self.renewed[lease.job_id] += 1
        return super().renew(lease)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def heartbeat(store: Store) -> Heartbeat:
    return Heartbeat(store, every_s=EVERY_S)


def claimed(store: Store) -> Lease:
    job = new_job()
    store.accept(job)
    lease = store.claim(job.job_id, worker="w")
    assert isinstance(lease, Lease)
    return lease


def eventually(condition: Callable[[], object]) -> bool:
    give_up_at = time.monotonic() + 10
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(EVERY_S / 4)
    return bool(condition())


def test_a_lease_is_renewed_until_its_job_has_ended(store: Store, heartbeat: Heartbeat) -> None:
    lease = claimed(store)

    with heartbeat.renewing(lease):
        assert eventually(lambda: store.renewed[lease.job_id] >= 3)
    # One may have been under way.
    time.sleep(EVERY_S)
    counted = store.renewed[lease.job_id]
    time.sleep(5 * EVERY_S)

    assert store.renewed[lease.job_id] == counted


def test_jobs_after_one_another_share_a_thread_also_after_a_pause(store: Store, heartbeat: Heartbeat) -> None:
    threads = set()
    for pause_s in (0, 4 * EVERY_S, 0):
        lease = claimed(store)
        with heartbeat.renewing(lease):
            assert eventually(partial(store.renewed.__getitem__, lease.job_id))
            threads.add(heartbeat._thread)
        time.sleep(pause_s)

    assert len(threads) == 1


def test_two_jobs_at_once_are_both_kept(store: Store, heartbeat: Heartbeat) -> None:
    first, second = claimed(store), claimed(store)

    with heartbeat.renewing(first), heartbeat.renewing(second):
        assert eventually(lambda: store.renewed[first.job_id] >= 2 and store.renewed[second.job_id] >= 2)


def test_a_lease_that_is_lost_is_not_asked_for_again(store: Store, heartbeat: Heartbeat) -> None:
    lease = claimed(store)
    assert store.release(lease, DependencyUnavailableError("worker", "taken away"), counts=False) is Outcome.DONE

    with heartbeat.renewing(lease):
        assert eventually(lambda: store.renewed[lease.job_id])
        time.sleep(4 * EVERY_S)

    assert store.renewed[lease.job_id] == 1


def test_a_store_that_is_away_is_asked_again(store: Store, heartbeat: Heartbeat) -> None:
    lease = claimed(store)
    store.refusals = 2

    with heartbeat.renewing(lease):
        assert eventually(lambda: store.renewed[lease.job_id])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_begun_anew(store: Store, heartbeat: Heartbeat) -> None:
    store.broken = True
    with heartbeat.renewing(claimed(store)):
        assert eventually(lambda: heartbeat._thread is not None and not heartbeat._thread.is_alive())
    store.broken = False
    lease = claimed(store)

    with heartbeat.renewing(lease):
        assert eventually(lambda: store.renewed[lease.job_id])
