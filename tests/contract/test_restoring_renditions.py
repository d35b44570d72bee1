"""Jobs with several results that are restored from storage: what is there stays, and only what is missing is made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from darkroom.adapters.jobs import AlreadyFinal, KeptJob, Lease, Outcome, Restoration
from darkroom.contract.jobs import JobResult, JobStatus
from tests.contract.job_stores import STORES, JobStores, new_job, stores_named

HOUR = timedelta(hours=1)
PARAMETERS = {
    "renditions": {name: {"type": "resize", "parameters": {"width": 8}} for name in ("thumb", "hero", "face")}
}


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


def kept(*names: str) -> KeptJob:
    """A job of an hour, of which these renditions are in storage."""
    job = new_job(type="renditions", parameters=PARAMETERS)
    now = datetime.now(UTC).replace(microsecond=0)
    made = {
        name: JobResult(
            storage_key=f"processed/{job.job_id}/{name}.webp", content_type="image/webp", width=8, height=6, bytes=99
        )
        for name in names
    }
    return KeptJob(new=job, created_at=now - HOUR, made=made, finished_at=now - HOUR / 2 if len(made) == 3 else None)


def test_a_job_that_has_them_all_is_completed_with_them(stores: JobStores) -> None:
    store, job = stores.make(), kept("thumb", "hero", "face")
    assert store.restore([job]) == [Restoration.COMPLETED]
    record = store.get(job.new.job_id)
    assert record is not None
    assert (record.status, record.result, record.made) == (JobStatus.COMPLETED, None, job.made)
    assert record.finished_at == job.finished_at
    assert isinstance(store.claim(job.new.job_id, worker="w"), AlreadyFinal)


def test_a_job_that_lacks_some_keeps_the_others_and_is_done_again(stores: JobStores) -> None:
    store, job = stores.make(), kept("thumb", "face")
    assert store.restore([job]) == [Restoration.QUEUED]
    [handed_out] = [record for record in store.next_in_line(limit=10) if record.job_id == job.new.job_id]
    assert handed_out.made == job.made
    lease = store.claim(job.new.job_id, worker="w")
    assert isinstance(lease, Lease)
    assert lease.record.made == job.made
    hero = next(iter(kept("hero").made.values()))
    assert store.rendered(lease, "hero", hero) is Outcome.DONE
    outcome, record = store.complete(lease, None, {})
    assert outcome is Outcome.DONE
    assert record is not None
    assert record.made == {**job.made, "hero": hero}


def test_a_job_without_any_is_done_wholly(stores: JobStores) -> None:
    store, job = stores.make(), kept()
    assert store.restore([job]) == [Restoration.QUEUED]
    record = store.get(job.new.job_id)
    assert record is not None
    assert record.made == {}
