"""Jobs with several results: what every job store promises of them, and that their records are short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from darkroom.adapters.jobs import JobStore, Lease, NextStep, Outcome
from darkroom.contract import metrics
from darkroom.contract.errors import CropOutOfBoundsError, DependencyUnavailableError, RenditionFailedError
from darkroom.contract.jobs import JobFailure, JobRecord, JobResult, JobStatus, rendition_key
from darkroom.contract.presets import PresetUse
from tests.contract.job_stores import STORES, JobStores, RedisJobStores, new_job, stores_named

NAMES = ("thumb", "small", "hero")
ASKED = {name: {"type": "resize", "parameters": {"width": 100 + n}} for n, name in enumerate(NAMES)}
PRESETS = {"thumb": PresetUse(name="thumb", digest="0123456789abcdef")}
OUTSIDE = CropOutOfBoundsError("the area ends at 900, the picture at 800")
STORAGE_DOWN = DependencyUnavailableError("storage", "503")


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make()


def claimed(store: JobStore, **changes: Any) -> Lease:
    job = new_job(type="renditions", parameters={"renditions": ASKED}, presets=PRESETS, **changes)
    store.accept(job)
    return claim(store, job.job_id)


def claim(store: JobStore, job_id: Any) -> Lease:
    lease = store.claim(job_id, worker="renditions-1")
    assert isinstance(lease, Lease)
    return lease


def result(lease: Lease, name: str, **changes: Any) -> JobResult:
    fields: dict[str, Any] = {"content_type": "image/webp", "width": 400, "height": 300, "bytes": 27272, **changes}
    return JobResult(storage_key=rendition_key(lease.job_id, name, "webp"), **fields)


def record(store: JobStore, lease: Lease) -> JobRecord:
    found = store.get(lease.job_id)
    assert found is not None
    return found


def test_each_rendition_is_in_the_record_as_it_is_made(store: JobStore) -> None:
    lease = claimed(store)
    assert lease.record.made == {}
    assert lease.record.presets == PRESETS
    with_placeholder = result(lease, "thumb", placeholder="1QcSHQRnh493V4dIh4eXh1h4kJUI")
    assert store.rendered(lease, "thumb", with_placeholder) is Outcome.DONE
    assert store.rendered(lease, "small", OUTSIDE) is Outcome.DONE
    found = record(store, lease)
    assert found.status is JobStatus.PROCESSING
    assert found.made == {
        "thumb": with_placeholder,
        "small": JobFailure(code=OUTSIDE.code, message=OUTSIDE.detail, attempts=1),
    }
    assert found.stored_results == (with_placeholder,)


def test_a_completed_job_has_all_its_results(store: JobStore) -> None:
    lease = claimed(store)
    results = {name: result(lease, name) for name in NAMES}
    for name, made in results.items():
        store.rendered(lease, name, made)
    outcome, ended = store.complete(lease, None, {"fetch": 5, "render": 61, "store": 7})
    assert outcome is Outcome.DONE
    assert ended is not None
    assert (ended.status, ended.result, ended.made) == (JobStatus.COMPLETED, None, results)
    assert record(store, lease).made == results
    assert record(store, lease).timings_ms["render"] == 61


def test_results_are_in_the_order_in_which_they_were_asked_for(store: JobStore) -> None:
    lease = claimed(store)
    for name in NAMES:
        store.rendered(lease, name, result(lease, name))
    store.complete(lease, None, {})
    found = record(store, lease)
    assert list(found.parameters["renditions"]) == list(NAMES)
    assert list(found.made) == list(NAMES)
    assert list(found.view()["results"]) == list(NAMES)


def test_what_is_made_of_a_job_that_was_cancelled_meanwhile_is_erased(stores: JobStores, store: JobStore) -> None:
    lease = claimed(store)
    store.cancel(lease.job_id, owner="key-1")
    for erasure in store.due_erasures(limit=10):
        store.erasure_done(erasure)
    stores.advance(3600)
    for erasure in store.due_erasures(limit=10):
        store.erasure_done(erasure)
    assert store.due_erasures(limit=10) == []
    assert store.rendered(lease, "thumb", result(lease, "thumb")) is Outcome.STALE
    assert [erasure.job_id for erasure in store.due_erasures(limit=10)] == [lease.job_id]


def test_what_was_made_before_a_redrive_counts_as_made(store: JobStore) -> None:
    lease = failed(store)
    store.redrive(lease.job_id)
    again = claim(store, lease.job_id)
    assert store.rendered(again, "small", result(again, "small")) is Outcome.DONE
    outcome, ended = store.complete(again, None, {"render": 5})
    assert outcome is Outcome.DONE
    assert ended is not None
    assert sorted(ended.made) == sorted(NAMES)
    assert store.statistics()[metrics.RESULT_SIZE][("webp",)] == 3 * 27272


def test_what_was_made_stands_whatever_becomes_of_the_attempt(stores: JobStores, store: JobStore) -> None:
    lease = claimed(store)
    store.rendered(lease, "thumb", result(lease, "thumb"))
    store.release(lease, STORAGE_DOWN, counts=False)
    second = claim(store, lease.job_id)
    assert list(second.record.made) == ["thumb"]
    store.rendered(second, "small", result(second, "small"))
    stores.advance(60)  # the lease runs out
    third = claim(store, lease.job_id)
    assert sorted(third.record.made) == ["small", "thumb"]


def test_a_worker_that_lost_its_lease_records_nothing(stores: JobStores, store: JobStore) -> None:
    lost = claimed(store)
    stores.advance(60)
    holder = claim(store, lost.job_id)
    assert store.rendered(lost, "thumb", result(lost, "thumb", width=1)) is Outcome.STALE
    assert record(store, holder).made == {}
    assert store.rendered(holder, "thumb", result(holder, "thumb")) is Outcome.DONE
    store.fail(holder, RenditionFailedError("no"))
    assert store.rendered(holder, "small", result(holder, "small")) is Outcome.STALE
    assert list(record(store, holder).made) == ["thumb"]


def test_the_same_call_again_changes_nothing_and_counts_once(store: JobStore) -> None:
    lease = claimed(store)
    for _ in range(2):
        assert store.rendered(lease, "thumb", result(lease, "thumb")) is Outcome.DONE
    assert store.statistics()[metrics.RESULT_SIZE][("webp",)] == 27272


def failed(store: JobStore) -> Lease:
    lease = claimed(store)
    store.rendered(lease, "thumb", result(lease, "thumb"))
    store.rendered(lease, "small", OUTSIDE)
    store.rendered(lease, "hero", result(lease, "hero"))
    store.fail(lease, RenditionFailedError("1 of 3 renditions cannot be made"))
    return lease


def test_a_failed_job_keeps_the_results_that_stand(store: JobStore) -> None:
    lease = failed(store)
    found = record(store, lease)
    assert found.status is JobStatus.FAILED
    assert [name for name, made in found.made.items() if isinstance(made, JobResult)] == ["thumb", "hero"]
    shown = found.view()["results"]
    assert [one["status"] for one in shown.values()] == ["completed", "failed", "completed"]
    assert shown["small"]["error"]["code"] == "crop.out_of_bounds"
    assert shown["thumb"]["preset"] == {"name": "thumb", "digest": "0123456789abcdef"}


def test_a_redrive_misses_only_what_could_not_be_made(store: JobStore) -> None:
    lease = failed(store)
    assert store.redrive(lease.job_id).step is NextStep.EMIT
    assert sorted(claim(store, lease.job_id).record.made) == ["hero", "thumb"]


def test_a_redrive_with_other_parameters_makes_what_they_change(store: JobStore) -> None:
    lease = failed(store)
    changed = {**ASKED, "thumb": {"type": "resize", "parameters": {"width": 9}}}
    store.redrive(lease.job_id, parameters={"renditions": changed}, presets={}, remake=["thumb"])
    again = claim(store, lease.job_id)
    assert list(again.record.made) == ["hero"]
    assert again.record.presets == {}
    assert again.record.parameters == {"renditions": changed}


def test_a_job_that_failed_before_it_made_anything_shows_its_error_at_each_rendition(store: JobStore) -> None:
    lease = claimed(store)
    store.rendered(lease, "thumb", result(lease, "thumb"))
    store.fail(lease, CropOutOfBoundsError("no"))
    shown = record(store, lease).view()["results"]
    assert {name: one["status"] for name, one in shown.items()} == {
        "thumb": "completed",
        "small": "failed",
        "hero": "failed",
    }
    assert shown["hero"]["error"]["code"] == "crop.out_of_bounds"


def test_a_result_elsewhere_and_of_another_type_is_kept_as_it_is(store: JobStore) -> None:
    lease = claimed(store)
    odd = JobResult(storage_key="elsewhere/a.bin", content_type="video/mp4", width=1, height=1, bytes=1)
    store.rendered(lease, "thumb", odd)
    assert record(store, lease).made == {"thumb": odd}


def test_the_record_of_five_renditions_is_short(redis: Any) -> None:
    stores = RedisJobStores(redis.url)
    try:
        store = stores.make()
        names = ("thumb", "small", "medium", "hero", "square")
        asked = {name: {"type": "resize", "parameters": {"width": 1600}} for name in names}
        uses = {name: PresetUse(name=name, digest="0123456789abcdef") for name in names}
        job = new_job(type="renditions", parameters={"renditions": asked}, presets=uses)
        store.accept(job)
        lease = claim(store, job.job_id)
        for name in names:
            store.rendered(lease, name, result(lease, name))
        store.complete(lease, None, {"fetch": 5, "render": 61, "store": 7})
        size = int(str(stores.client.memory_usage(f"darkroom:job:{job.job_id}")))
        print(f"\nbytes of a finished job with five renditions: {size}")  # noqa: T201
        assert size < 1600
    finally:
        stores.close()
