"""What a job store reports of its queue: the windows, the turns, who was refused, and what was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from darkroom.adapters.jobs import JobStore, Lease
from darkroom.adapters.jobs.admission import BacklogLimits, JobName
from darkroom.contract.errors import BacklogFullError, QuotaExceededError
from darkroom.telemetry.metric import Distribution, Metric
from tests.contract.job_stores import STORES, JobStores, a_result, new_job, stores_named
from tools import catalog as metrics

WINDOW = 2


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[JobStores]:
    made = stores_named(request.param, request)
    yield made
    made.close()


def reading(store: JobStore, metric: Metric, *labels: str) -> float:
    value = store.statistics()[metric][labels]
    assert not isinstance(value, Distribution)
    return value


def test_the_window_and_its_places_are_reported_by_lane(stores: JobStores) -> None:
    store = stores.make(broker_window=WINDOW)
    first, *_ = [store.accept(new_job(owner="a")).record for _ in range(WINDOW + 3)]
    store.accept(new_job(owner="a", type="crop"))

    assert reading(store, metrics.BROKER_WINDOW) == WINDOW
    assert reading(store, metrics.JOBS_WITH_BROKER, "resize", "standard") == WINDOW
    assert reading(store, metrics.JOBS_IN_LANES, "resize", "standard") == 3
    assert reading(store, metrics.JOBS_WITH_BROKER, "crop", "standard") == 1
    assert reading(store, metrics.JOBS_WITH_BROKER, "crop", "heavy") == 0

    lease = store.claim(first.job_id, worker="w")
    assert isinstance(lease, Lease)
    store.complete(lease, a_result(lease), {})
    assert reading(store, metrics.JOBS_WITH_BROKER, "resize", "standard") == WINDOW - 1


def test_without_a_window_none_is_reported(stores: JobStores) -> None:
    store = stores.make()
    store.accept(new_job())
    assert reading(store, metrics.BROKER_WINDOW) == 0
    assert reading(store, metrics.JOBS_WITH_BROKER, "resize", "standard") == 0


def test_the_longest_wait_is_that_of_any_key(stores: JobStores) -> None:
    store = stores.make(broker_window=WINDOW)
    for _ in range(WINDOW):
        store.accept(new_job(owner="a"))
    assert reading(store, metrics.LANE_OLDEST_WAIT, "resize", "standard") == 0, "those with the broker do not wait"
    stores.advance(3)
    store.accept(new_job(owner="a"))
    stores.advance(5)
    store.accept(new_job(owner="b"))

    assert reading(store, metrics.LANE_OLDEST_WAIT, "resize", "standard") == pytest.approx(5, abs=1)
    assert reading(store, metrics.LANE_OLDEST_WAIT, "crop", "standard") == 0


def by_asking(store: JobStore, number: int) -> None:
    store.admission("a", [JobName() for _ in range(number)])


def by_accepting(store: JobStore, number: int) -> None:
    store.accept_many([new_job(owner="a") for _ in range(number)])


@pytest.mark.parametrize("submit", [by_asking, by_accepting])
@pytest.mark.parametrize(
    ("limits", "error", "limit"),
    [
        (BacklogLimits(quota=3), QuotaExceededError, "quota"),
        (BacklogLimits(max_backlog=3), BacklogFullError, "backlog"),
    ],
    ids=["quota", "backlog"],
)
def test_refused_jobs_are_counted_by_the_limit_that_refused_them(
    stores: JobStores,
    limits: BacklogLimits,
    error: type[Exception],
    limit: str,
    submit: Callable[[JobStore, int], None],
) -> None:
    store = stores.make(limits=limits)
    submit(store, 3)
    with pytest.raises(error):
        submit(store, 4)

    refused = store.statistics()[metrics.JOBS_REFUSED]
    assert refused == {("quota",): 0, ("backlog",): 0} | {(limit,): 4}


def test_a_repeated_request_of_a_known_job_is_not_counted_among_the_refused(stores: JobStores) -> None:
    store = stores.make(limits=BacklogLimits(quota=1))
    store.accept(new_job(owner="a", idempotency_key="k"))
    store.admission("a", [JobName(idempotency_key="k")])
    with pytest.raises(QuotaExceededError):
        store.admission("a", [JobName(idempotency_key="k"), JobName()])
    assert reading(store, metrics.JOBS_REFUSED, "quota") == 1


def test_the_bytes_of_stored_originals_add_up(stores: JobStores) -> None:
    store = stores.make()
    job = new_job(original_bytes=70_000)
    store.accept(job)
    store.accept(job)
    store.accept(new_job(original_bytes=30_000))
    store.accept(new_job())
    assert reading(store, metrics.ORIGINAL_SIZE) == 100_000
