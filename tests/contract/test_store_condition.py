"""What a job store says of itself to people who ask what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from darkroom.adapters.jobs import LEASE_S, JobStore, Lease
from darkroom.adapters.jobs.attempt_errors import crash_error
from darkroom.contract.errors import ImageCorruptError
from tests.contract.job_stores import STORES, JobStores, a_result, new_job, stores_named


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


def claimed(store: JobStore) -> Lease:
    lease = store.claim(store.accept(new_job()).record.job_id, worker="w")
    assert isinstance(lease, Lease)
    return lease


def test_the_load_is_everybodys(stores: JobStores) -> None:
    store = stores.make()
    store.accept(new_job(owner="a"))
    done = claimed(store)
    store.complete(done, a_result(done), {})
    load = store.condition(struck=0).load
    assert (load.unfinished, load.ended) == (1, 1)


def test_a_job_whose_worker_was_lost_is_struck_until_it_ends(stores: JobStores) -> None:
    store = stores.make()
    well, lost = claimed(store), claimed(store)
    assert store.condition(struck=5).struck == ()
    stores.advance(LEASE_S + 5)
    again = store.claim(lost.job_id, worker="another")
    assert isinstance(again, Lease)
    assert [record.job_id for record in store.condition(struck=5).struck] == [lost.job_id]
    assert store.condition(struck=0).struck == ()
    store.complete(again, a_result(again), {})
    assert lost.job_id not in {record.job_id for record in store.condition(struck=5).struck}
    assert well.job_id != lost.job_id


def test_a_job_that_was_given_back_for_another_reason_is_not_struck(stores: JobStores) -> None:
    store = stores.make()
    store.release(claimed(store), ImageCorruptError("it is odd"), counts=True)
    assert store.condition(struck=5).struck == ()


def test_an_attempt_before_a_redrive_strikes_no_more(stores: JobStores) -> None:
    store = stores.make(max_attempts=1)
    lease = claimed(store)
    stores.advance(LEASE_S + 5)
    store.claim(lease.job_id, worker="another")
    store.kept(lease.job_id)
    store.redrive(lease.job_id)
    assert store.condition(struck=5).struck == ()


def test_no_more_are_named_than_asked_for(stores: JobStores) -> None:
    store = stores.make()
    for _ in range(3):
        store.release(claimed(store), crash_error(), counts=True)
    assert len(store.condition(struck=2).struck) == 2


def test_memory_without_a_limit_has_none(stores: JobStores) -> None:
    condition = stores.make().condition(struck=0)
    assert condition.max_bytes == 0
    assert condition.used_bytes >= 0
