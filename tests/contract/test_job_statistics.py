"""What every job store counts of its jobs: each change once, whatever is sent twice. Redis and the fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from darkroom.adapters.jobs import LEASE_S, UNEMITTED_JOBS_DUE_AFTER_S, JobStore, Lease, NextStep, Outcome
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    ImageCorruptError,
    ImageCrashedError,
    InputNotFoundError,
)
from darkroom.imaging import CostClass
from darkroom.telemetry.metric import Distribution, Metric, MetricKind, Source
from tests.contract.job_stores import STORES, JobStores, a_result, new_job, stores_named
from tools import catalog as metrics
from tools.catalog import CATALOG

WORKER_CRASHED = ImageCrashedError("the worker ended without reporting")
STORAGE_DOWN = DependencyUnavailableError("storage", "PutObject was answered 503 SlowDown")
TIMINGS_MS = {"fetch": 5, "render": 61, "store": 7}

Counts = dict[tuple[str, ...], float]
"""By the metric's name and the values of its attributes: what is not 0. Of histograms, how many were observed."""


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


@pytest.fixture
def store(stores: JobStores) -> JobStore:
    return stores.make()


def counts_of(store: JobStore) -> Counts:
    found = {}
    for metric, values in store.statistics().items():
        for labels, value in values.items():
            number = value.count if isinstance(value, Distribution) else value
            if number and metric.kind is not MetricKind.GAUGE:
                found[metric.name.removeprefix("darkroom."), *labels] = number
    return found


def counted_by(store: JobStore, act: Callable[[], Any]) -> Counts:
    before = counts_of(store)
    act()
    after = counts_of(store)
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def gauge(store: JobStore, metric: Metric, *labels: str) -> float:
    value = store.statistics()[metric][labels]
    assert not isinstance(value, Distribution)
    return value


def distribution(store: JobStore, metric: Metric, *labels: str) -> Distribution:
    value = store.statistics()[metric][labels]
    assert isinstance(value, Distribution)
    return value


def claimed(store: JobStore, **changes: Any) -> Lease:
    answer = store.claim(store.accept(new_job(**changes)).record.job_id, worker="worker-1")
    assert isinstance(answer, Lease)
    return answer


ENDED_WELL = {
    ("job.attempts", "resize", ""): 1,
    ("jobs.ended", "resize", "standard", "completed", ""): 1,
    ("job.duration", "resize", "standard", "completed"): 1,
    ("objective.jobs", "true"): 1,
    ("job.stage.duration", "resize", "fetch"): 1,
    ("job.stage.duration", "resize", "render"): 1,
    ("job.stage.duration", "resize", "store"): 1,
    ("render.duration", "jpeg"): 1,
    ("result.size", "jpeg"): 27272,
}


def test_every_metric_of_the_record_is_read_before_anything_happened(store: JobStore) -> None:
    read = store.statistics()

    assert set(read) == {metric for metric in CATALOG if metric.source is Source.RECORD}
    assert all(read.values()), "a series that first appears with a 1 is lost to a rate"
    assert counts_of(store) == {}


def test_an_accepted_job_is_counted_once_however_often_it_is_sent(store: JobStore) -> None:
    job = new_job(type="crop", cost_class="heavy", idempotency_key="k")

    assert counted_by(store, lambda: store.accept(job)) == {("jobs.accepted", "crop", "heavy"): 1}
    assert counted_by(store, lambda: store.accept(job)) == {}
    assert counted_by(store, lambda: store.accept(replace(job, job_id=new_job().job_id))) == {}


def test_the_first_claim_ends_the_wait_in_the_queue(store: JobStore, stores: JobStores) -> None:
    job_id = store.accept(new_job()).record.job_id
    stores.advance(0.7)

    first = counted_by(store, lambda: store.claim(job_id, worker="worker-1"))

    assert first == {("job.stage.duration", "resize", "queued"): 1}
    assert distribution(store, metrics.JOB_STAGE_DURATION, "resize", "queued").sum == pytest.approx(0.7, abs=0.3)
    assert counted_by(store, lambda: store.claim(job_id, worker="worker-2")) == {}


def test_a_completed_job_is_counted_with_its_stages_and_its_result(store: JobStore) -> None:
    lease = claimed(store)

    assert counted_by(store, lambda: store.complete(lease, a_result(lease), TIMINGS_MS)) == ENDED_WELL
    assert counted_by(store, lambda: store.complete(lease, a_result(lease), TIMINGS_MS)) == {}


def test_what_was_observed_falls_into_the_bucket_whose_bound_it_does_not_pass(store: JobStore) -> None:
    for render_ms in (50, 51, 99_000):
        lease = claimed(store)
        store.complete(lease, a_result(lease), {"render": render_ms})

    found = distribution(store, metrics.RENDER_DURATION, "jpeg")

    bounds = metrics.RENDER_DURATION.buckets
    expected = {bounds.index(0.05): 1, bounds.index(0.1): 1, len(bounds): 1}
    assert {index: count for index, count in enumerate(found.counts) if count} == expected
    assert found.sum == pytest.approx(0.05 + 0.051 + 99)


@pytest.mark.parametrize(
    ("error", "good"),
    [
        (ImageCorruptError("bad"), "true"),
        (InputNotFoundError("gone"), "false"),
        (WORKER_CRASHED, "false"),
    ],
    ids=lambda value: value.code if isinstance(value, DarkroomError) else value,
)
def test_a_failed_job_is_good_when_its_picture_was_to_blame(store: JobStore, error: DarkroomError, good: str) -> None:
    lease = claimed(store)

    counts = counted_by(store, lambda: store.fail(lease, error))

    assert counts == {
        ("job.attempts", "resize", error.code): 1,
        ("jobs.ended", "resize", "standard", "failed", error.code): 1,
        ("job.duration", "resize", "standard", "failed"): 1,
        ("objective.jobs", good): 1,
    }
    assert counted_by(store, lambda: store.fail(lease, error)) == {}


def test_a_job_that_took_longer_than_the_objective_allows_is_not_good(stores: JobStores) -> None:
    store = stores.make(times=JobTimes(lease_s=100))
    lease = claimed(store)
    stores.advance(metrics.OBJECTIVE_WITHIN_S + 1)

    counts = counted_by(store, lambda: store.complete(lease, a_result(lease), {}))

    assert counts["objective.jobs", "false"] == 1
    assert ("objective.jobs", "true") not in counts
    lasted = distribution(store, metrics.JOB_DURATION, "resize", "standard", "completed")
    assert lasted.counts[metrics.JOB_DURATION.buckets.index(30.0)] == 1


def test_a_heavy_job_is_no_matter_of_the_objective(store: JobStore) -> None:
    lease = claimed(store, cost_class="heavy")

    counts = counted_by(store, lambda: store.complete(lease, a_result(lease), {}))

    assert counts["jobs.ended", "resize", "heavy", "completed", ""] == 1
    assert not [key for key in counts if key[0] == "objective.jobs"]


@pytest.mark.parametrize("counts", [True, False])
def test_an_attempt_that_was_given_back_has_ended_with_its_error(store: JobStore, counts: bool) -> None:
    lease = claimed(store)

    expected = {("job.attempts", "resize", "dependency.unavailable"): 1}
    assert counted_by(store, lambda: store.release(lease, STORAGE_DOWN, counts=counts)) == expected
    assert counted_by(store, lambda: store.release(lease, STORAGE_DOWN, counts=counts)) == {}


def test_whoever_finds_an_attempt_dead_counts_its_end_and_nobody_does_so_again(
    store: JobStore, stores: JobStores
) -> None:
    lease = claimed(store)
    stores.advance(LEASE_S + 1)

    swept = counted_by(store, lambda: store.recover_overdue(limit=10, error=WORKER_CRASHED))

    assert swept == {("job.attempts", "resize", "image.crashed"): 1, ("jobs.emitted_again", "resize"): 1}
    assert counted_by(store, lambda: store.recover_overdue(limit=10, error=WORKER_CRASHED)) == {}
    assert counted_by(store, lambda: store.claim(lease.job_id, worker="worker-2")) == {}


def test_an_attempt_that_was_taken_for_dead_and_came_back_ends_once_more(store: JobStore, stores: JobStores) -> None:
    lease = claimed(store)
    stores.advance(LEASE_S + 1)
    store.recover_overdue(limit=10, error=WORKER_CRASHED)

    assert counted_by(store, lambda: store.renew(lease)) == {}
    counts = counted_by(store, lambda: store.complete(lease, a_result(lease), {}))

    assert counts["job.attempts", "resize", ""] == 1


def test_a_dead_letter_that_is_emitted_again_counts(store: JobStore) -> None:
    job_id = store.accept(new_job()).record.job_id

    assert counted_by(store, lambda: store.recover(job_id, WORKER_CRASHED)) == {("jobs.emitted_again", "resize"): 1}
    # Its second is left to the sweep.
    assert counted_by(store, lambda: store.recover(job_id, WORKER_CRASHED)) == {}


GIVEN_UP = {
    ("job.attempts", "resize", "image.crashed"): 1,
    ("jobs.ended", "resize", "standard", "failed", "image.crashed"): 1,
    ("job.duration", "resize", "standard", "failed"): 1,
    ("objective.jobs", "false"): 1,
}


def by_a_claim(store: JobStore, lease: Lease) -> None:
    store.claim(lease.job_id, worker="worker-2")


def by_the_sweep(store: JobStore, lease: Lease) -> None:
    store.recover_overdue(limit=10, error=WORKER_CRASHED)


def by_its_dead_letter(store: JobStore, lease: Lease) -> None:
    store.recover(lease.job_id, WORKER_CRASHED)


@pytest.mark.parametrize("give_up", [by_a_claim, by_the_sweep, by_its_dead_letter])
def test_a_job_that_is_given_up_is_counted_once(stores: JobStores, give_up: Callable[[JobStore, Lease], None]) -> None:
    store = stores.make(max_attempts=1)
    lease = claimed(store)
    stores.advance(LEASE_S + 1)

    assert counted_by(store, lambda: give_up(store, lease)) == GIVEN_UP
    for again in (by_a_claim, by_the_sweep, by_its_dead_letter):
        assert counted_by(store, lambda again=again: again(store, lease)) == {}  # type: ignore[misc]


def test_a_job_that_nobody_ever_took_fails_with_what_recovery_says(stores: JobStores) -> None:
    store = stores.make(max_emissions=1)
    job_id = store.accept(new_job()).record.job_id

    counts = counted_by(store, lambda: store.recover(job_id, STORAGE_DOWN))

    assert counts["jobs.ended", "resize", "standard", "failed", "dependency.unavailable"] == 1
    assert not [key for key in counts if key[0] == "job.attempts"]


def test_a_redriven_job_ends_once_more_but_lasts_only_once(store: JobStore, stores: JobStores) -> None:
    lease = claimed(store)
    store.fail(lease, WORKER_CRASHED)
    stores.advance(3600)

    assert counted_by(store, lambda: store.redrive(lease.job_id)) == {("jobs.redriven", "resize"): 1}
    assert counted_by(store, lambda: store.redrive(lease.job_id)) == {}
    again = store.claim(lease.job_id, worker="worker-2")
    assert isinstance(again, Lease)
    counts = counted_by(store, lambda: store.complete(again, a_result(again), TIMINGS_MS))

    left_out = {("job.duration", "resize", "standard", "completed"), ("objective.jobs", "true")}
    assert counts == {key: count for key, count in ENDED_WELL.items() if key not in left_out}


def test_a_refused_change_counts_nothing(store: JobStore, stores: JobStores) -> None:
    stale = claimed(store)
    stores.advance(LEASE_S + 1)
    store.claim(stale.job_id, worker="worker-2")

    def come_back() -> None:
        assert store.complete(stale, a_result(stale), TIMINGS_MS)[0] is Outcome.STALE
        assert store.fail(stale, WORKER_CRASHED)[0] is Outcome.STALE
        assert store.release(stale, WORKER_CRASHED, counts=True) is Outcome.STALE

    assert counted_by(store, come_back) == {}


# --- this moment -----------------------------------------------------------------------------------------------------


def test_the_gauges_report_unfinished_jobs(store: JobStore, stores: JobStores) -> None:
    lease = claimed(store)
    stores.advance(4)
    store.accept(new_job())

    assert gauge(store, metrics.JOBS_UNFINISHED, "queued") == 1
    assert gauge(store, metrics.JOBS_UNFINISHED, "processing") == 1
    assert gauge(store, metrics.JOBS_OLDEST_UNFINISHED_AGE) == pytest.approx(4, abs=1)
    store.complete(lease, a_result(lease), {})
    assert gauge(store, metrics.JOBS_UNFINISHED, "processing") == 0


def test_the_outbox_has_jobs_that_no_broker_had_for_longer_than_it_takes(store: JobStore, stores: JobStores) -> None:
    store.accept(new_job())
    told = store.accept(new_job()).record
    assert gauge(store, metrics.JOBS_OUTBOX) == 0, "ingest may be at it"
    store.emitted(told.job_id, told.emissions)

    stores.advance(UNEMITTED_JOBS_DUE_AFTER_S + 1)

    assert gauge(store, metrics.JOBS_OUTBOX) == 1
    (recovered,) = store.recover_overdue(limit=10, error=WORKER_CRASHED)
    assert recovered.step is NextStep.EMIT
    assert gauge(store, metrics.JOBS_OUTBOX) == 1, "a sweep that cannot help does not hide it"
    assert recovered.record is not None
    store.emitted(recovered.record.job_id, recovered.record.emissions)
    assert gauge(store, metrics.JOBS_OUTBOX) == 0


def test_what_was_given_up_waits_until_it_is_kept(stores: JobStores) -> None:
    store = stores.make(max_attempts=1)
    lease = claimed(store)
    stores.advance(LEASE_S + 1)
    store.recover(lease.job_id, WORKER_CRASHED)

    assert gauge(store, metrics.JOBS_GIVEN_UP) == 1
    store.kept(lease.job_id)
    assert gauge(store, metrics.JOBS_GIVEN_UP) == 0


def test_the_cost_classes_are_those_that_pictures_are_put_in() -> None:
    assert tuple(CostClass) == metrics.COST_CLASSES
