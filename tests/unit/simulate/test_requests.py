"""What becomes of direct requests: queueing, capacity, timeouts, and what instances cost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.simulate import Begin, ColdStart, Distribution, Result, run
from tests.unit.simulate.scenarios import every, requests, scenario, service

NO_MORE = {"max_scale": 1}


def latencies(result: Result, path: str = "service a") -> list[float]:
    return list(result.latencies[path].seconds)


def test_requests_wait_in_order_for_the_one_instance() -> None:
    result = run(scenario(service(scaling=NO_MORE), requests(0.0, 0.1, 0.2)))
    assert latencies(result) == pytest.approx([1.0, 1.9, 2.8])


def test_an_instance_takes_as_many_requests_as_its_concurrency_allows() -> None:
    scaling = {"container_concurrency": 2, "target": 2.0, "max_scale": 1}
    assert latencies(run(scenario(service(scaling=scaling), requests(0.0, 0.0, 0.0)))) == pytest.approx([1, 1, 2])


def test_workers_bound_what_an_instance_works_on_though_its_concurrency_does_not() -> None:
    unbounded = {"container_concurrency": 0, "target": 100.0, "max_scale": 1}
    result = run(scenario(service(scaling=unbounded, workers=1), requests(0.0, 0.0, 0.0)))
    assert latencies(result) == pytest.approx([1, 2, 3])
    assert result.services["a"].longest_queue == 0, "they wait inside the instance"


def test_a_size_scales_the_service_time_and_a_hop_adds_to_the_latency() -> None:
    result = run(scenario(service(hop_s=0.25), requests(0.0, 10.0, sizes=[0.5, 3.0])))
    assert latencies(result) == pytest.approx([0.75, 3.25])


def test_a_full_queue_refuses() -> None:
    result = run(scenario(service(scaling=NO_MORE, max_queued=2), requests(0.0, 0.0, 0.0, 0.0, 0.0)))
    assert (result.services["a"].refused, result.services["a"].succeeded) == (2, 3)


def test_a_request_is_answered_504_after_the_revisions_timeout_whether_it_waits_or_runs() -> None:
    result = run(scenario(service(takes_s=5.0, scaling=NO_MORE, timeout_s=3.0), requests(0.0, 0.0), duration_s=50))
    assert result.services["a"].timed_out == 2
    assert result.services["a"].busy_seconds == pytest.approx(3.0), "the second was never in an instance"


def test_an_answer_with_an_error_is_counted_and_has_no_latency() -> None:
    result = run(scenario(service(failure_rate=1.0), requests(0.0)))
    assert result.services["a"].failed == 1
    assert not result.latencies


def test_what_is_under_way_at_the_end_is_unfinished() -> None:
    result = run(scenario(service(scaling=NO_MORE), requests(9.5, 9.6), duration_s=10))
    assert result.services["a"].unfinished == 2


def test_instances_cost_from_their_start_until_they_are_gone() -> None:
    idle = run(scenario(service(scaling={"min_scale": 3})))
    assert idle.pod_seconds == pytest.approx(300)
    to_zero = {"min_scale": 0, "window_s": 6.0}
    starts = ColdStart(alone=Distribution.constant(2.0))
    one = run(scenario(service(scaling=to_zero, cold_start=starts, stop_s=3.0), requests(1.0)))
    (up, down) = one.services["a"].bends
    assert (up.at_s, up.wanted, down.wanted) == (1.0, 1, 0)
    assert one.pod_seconds == pytest.approx(down.at_s - up.at_s + 3.0)
    assert latencies(one) == pytest.approx([3.0])
    assert one.services["a"].cold_requests == one.latencies["service a"].cold == 1


def test_an_instance_that_is_given_back_finishes_its_requests() -> None:
    scaling = {"container_concurrency": 0, "target": 4.0, "min_scale": 0, "window_s": 6.0}
    times, sizes = [*every(0.01, 8), 3.0, 3.1], [50.0, *[4.0] * 7, 50.0, 50.0]
    result = run(scenario(service(scaling=scaling), requests(*times, sizes=sizes)))
    service_result = result.services["a"]
    assert sum(service_result.series.draining) > 20, "one is given back with a request that takes 50 s"
    assert service_result.succeeded == len(times)
    assert list(service_result.series.draining)[-1] == 0


def test_a_new_revision_on_a_cluster_begins_with_its_initial_scale_and_goes_to_zero() -> None:
    scaling = {"min_scale": 0, "initial_scale": 2, "window_s": 6.0}
    starts = ColdStart(alone=Distribution.constant(4.5))
    deployed = run(scenario(service(scaling=scaling, cold_start=starts), begin=Begin.DEPLOYED))
    series = deployed.services["a"].series
    assert list(series.starting[:6]) == [2, 2, 2, 2, 2, 0]
    assert (series.ready[5], series.wanted[-1]) == (2, 0)


@given(seed=st.integers(0, 10**6), cores=st.sampled_from([None, 1.0, 4.0]), rate=st.sampled_from([0.5, 3.0, 10.0]))
@settings(max_examples=40)
def test_each_request_has_one_end(seed: int, cores: float | None, rate: float) -> None:
    draw = random.Random(seed)
    times = sorted(draw.uniform(0, 40) for _ in range(round(40 * rate)))
    model = service(
        service_time=Distribution.exponential(0.8),
        cold_start=ColdStart(alone=Distribution.exponential(2.0), growth=0.5, cpu_s=0.5),
        scaling={"min_scale": 0, "max_scale": draw.choice([0, 3]), "window_s": 6.0},
        max_queued=draw.choice([3, 10_000]),
        timeout_s=draw.choice([2.0, 300.0]),
        failure_rate=draw.choice([0.0, 0.3]),
        workers=draw.choice([0, 1]),
        cpu_fraction=draw.choice([0.4, 1.0]),
    )
    result = run(scenario(model, requests(*times), cores=cores, seed=seed, duration_s=60)).services["a"]
    ended = result.succeeded + result.failed + result.refused + result.timed_out
    assert ended + result.unfinished == result.requests == len(times)
    assert all(count >= 0 for series in (result.series.busy, result.series.queue) for count in series)


def test_utilisation_and_waiting_agree_with_queueing_theory() -> None:
    """M/M/2 at 75 %: the mean wait is 1.286 service times (Erlang C)."""
    draw, at_s, times = random.Random(4), 0.0, []
    for _ in range(12_000):
        at_s += draw.expovariate(1.5)
        times.append(at_s)
    two = {"container_concurrency": 2, "target": 2.0, "max_scale": 1}
    model = service(service_time=Distribution.exponential(1.0), scaling=two)
    result = run(scenario(model, requests(*times), duration_s=at_s))
    mean = model.service_time.mean_s
    assert result.services["a"].busy_seconds / at_s == pytest.approx(1.5 * mean, rel=0.05)
    assert result.latencies["service a"].mean_s - mean == pytest.approx(1.286, rel=0.25)


def test_on_few_cores_what_is_busy_together_takes_longer() -> None:
    scaling = {"container_concurrency": 4, "target": 4.0, "max_scale": 1}
    one_core = run(scenario(service(scaling=scaling), requests(0.0, 0.0, 0.0, 0.0), cores=1.0))
    assert latencies(one_core) == pytest.approx([4.0] * 4)
    waiting = service(scaling=scaling, cpu_fraction=0.25)
    assert latencies(run(scenario(waiting, requests(0.0, 0.0), cores=1.0))) == pytest.approx([1.25, 1.25])


def test_starts_at_the_same_time_slow_each_other_down_on_the_same_node() -> None:
    starts = ColdStart(alone=Distribution.constant(1.0), growth=1.0)
    model = service(scaling={"min_scale": 4}, cold_start=starts)
    together = run(scenario(model, begin=Begin.DEPLOYED)).services["a"].series
    apart = run(scenario(model, begin=Begin.DEPLOYED, nodes=4)).services["a"].series
    assert list(together.ready[:6]) == [0, 0, 0, 0, 4, 4]
    assert list(apart.ready[:3]) == [0, 4, 4]


def test_a_percentile_is_a_latency_that_was_seen() -> None:
    found = run(scenario(service(), requests(*every(2.0, 40), sizes=[0.1 * each for each in range(40)]))).latencies
    assert found["service a"].percentile(50) == pytest.approx(1.9)
    assert found["service a"].percentile(95) == pytest.approx(3.7, abs=0.2)
    assert found["service a"].share_within(100) == 1.0
