"""The simulator against a real cluster's burst (tests/data/cluster)."""

from __future__ import annotations

import csv
from bisect import bisect_right
from heapq import heappop
from pathlib import Path

import pytest

from darkroom.local.eventing.delivery import ConsumerSettings
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate import CLUSTER_COLD_START, Arrivals, Distribution, Flow, Scenario, ServiceModel, Target, run
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.fitting import fit_cold_start
from darkroom.simulate.sharing import SharedProgress, slowed_by_others

DATA = Path(__file__).parents[2] / "data" / "cluster"
ALONE_S = 0.85
"""One cold start on that cluster, from the request until the pod's workers were there."""
ASKED_S = 2.5
"""When ten pods were asked for."""


def rows(name: str) -> list[dict[str, float]]:
    with (DATA / name).open() as file:
        return [{column: float(value) for column, value in row.items()} for row in csv.DictReader(file)]


def ready_after_s() -> list[float]:
    """Return for each of the ten pods when it was ready, after they were asked for."""
    found: list[float] = []
    for row in rows("cluster-burst-pods.csv"):
        found += [row["t_s"] - ASKED_S] * (int(row["ready"]) - len(found))
    return found


def test_the_default_cold_start_is_fitted_to_the_burst() -> None:
    fitted = fit_cold_start(ready_after_s(), ALONE_S)
    assert fitted.growth == pytest.approx(CLUSTER_COLD_START.growth, abs=0.02)
    assert list(CLUSTER_COLD_START.alone.samples) == pytest.approx(list(fitted.alone.samples), abs=0.02)


def test_ten_starts_at_once_become_ready_as_they_did() -> None:
    agenda = Agenda()
    starts = SharedProgress(agenda, slowed_by_others(CLUSTER_COLD_START.growth, nodes=1))
    found: list[float] = []
    for work_s in CLUSTER_COLD_START.alone.samples:
        starts.begin(0.0, work_s, lambda now_s, _: found.append(now_s), None)
    while agenda.heap:
        at_s, _, handler, argument = heappop(agenda.heap)
        handler(at_s, argument)
    assert found == pytest.approx(ready_after_s(), abs=0.15)


def test_a_burst_that_is_no_slower_than_one_start_fits_nothing() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.85 s"):
        fit_cold_start([0.5, 0.6], ALONE_S)


def burst() -> Scenario:
    jobs = rows("cluster-burst-jobs.csv")
    times_s = [job["finished_s"] - job["started_s"] for job in jobs]
    resize = ServiceModel(
        name="resize",
        scaling=ScalingConfig(container_concurrency=2, target=2.0, target_utilization=1.0, max_scale=10, window_s=30.0),
        service_time=Distribution(samples=tuple(times_s)),
    )
    consumer = ConsumerSettings(max_deliver=4, ack_wait_s=120.0, max_ack_pending=40, http_timeout_s=119.8)
    flow = Flow(name="resize", broker="darkroom/darkroom", consumer=consumer, service="resize")
    accepted = sorted(job["accepted_s"] for job in jobs)
    arrivals = Arrivals(name="jobs", kind=Target.TRIGGER, to="resize", times_s=accepted)
    return Scenario(services=(resize,), flows=(flow,), arrivals=(arrivals,), duration_s=100.0, sample_s=0.5)


def test_the_burst_asks_for_all_pods_within_seconds_and_gives_them_back_as_the_cluster_did() -> None:
    result = run(burst())
    service = result.services["resize"]
    assert service.succeeded == 200
    all_wanted_s = next(bend.at_s for bend in service.bends if bend.wanted == 10)
    assert all_wanted_s == pytest.approx(ASKED_S, abs=1.0)
    last_job_s = max(
        arrived_s + took_s
        for arrived_s, took_s in zip(
            result.latencies["trigger resize"].arrived_s, result.latencies["trigger resize"].seconds, strict=True
        )
    )
    # On the cluster the last job ended at 9.9 s, and no pod was ready any more 36 s later.
    zero_s = service.bends[-1].at_s
    assert service.bends[-1].wanted == 0
    assert zero_s - last_job_s == pytest.approx(46.0 - 9.9, abs=3.0)
    going = [(row["t_s"] - 46.0, row["ready"]) for row in rows("cluster-burst-pods.csv") if 11.0 <= row["t_s"] <= 46.0]
    times, ready = service.series.times_s, service.series.ready
    for before_zero_s, there in going:
        simulated = ready[bisect_right(times, zero_s + before_zero_s + 0.5) - 1]
        assert abs(simulated - there) <= 5, f"{before_zero_s} s before zero: {simulated}, on the cluster {there}"
