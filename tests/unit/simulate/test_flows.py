"""What becomes of events: filters, deliveries, retries, dead letters, the throttle, replies and windows."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.contract.lanes import LaneWindow
from darkroom.manifests.eventing import TriggerSpec
from darkroom.manifests.model import Destination
from darkroom.simulate import Arrivals, Distribution, Event, Result, Target, run
from tests.unit.simulate.scenarios import events, requests, scenario, service, trigger

SINK = {"dead_letter_sink": Destination(uri="http://elsewhere.example")}


def only(kind: str) -> TriggerSpec:
    """Filter by type."""
    return TriggerSpec.model_validate(
        {"broker": "b", "subscriber": {"uri": "http://a.example"}, "filter": {"attributes": {"type": kind}}}
    )


def latencies(result: Result) -> Sequence[float]:
    return result.latencies["trigger t"].seconds


def test_a_failing_event_is_retried_with_its_backoff_and_dead_lettered() -> None:
    failing = service(failure_rate=1.0, takes_s=0.4)
    result = run(scenario(failing, trigger(retry=3, delivery=SINK), events(0.0)))
    flow = result.flows["t"]
    assert (flow.delivered, flow.retried, flow.dead_lettered, flow.lost) == (4, 3, 1, 0)
    busy = [index for index, count in enumerate(result.services["a"].series.busy) if count]
    # Four attempts of 0.4 s each, 1, 2 and 4 s apart: they begin at 0, 1.4, 3.8 and 8.2.
    assert busy == [0, 4]


def test_without_a_sink_it_is_lost_and_a_404_is_lost_at_once() -> None:
    lost = run(scenario(service(failure_rate=1.0), trigger(retry=2), events(0.0))).flows["t"]
    assert (lost.delivered, lost.lost) == (3, 1)
    refused = service(failure_rate=1.0, failure_status=404)
    at_once = run(scenario(refused, trigger(retry=2, delivery=SINK), events(0.0))).flows["t"]
    assert (at_once.delivered, at_once.lost, at_once.dead_lettered) == (1, 1, 0)


def test_a_dead_letter_goes_to_a_service_that_takes_it_or_not() -> None:
    parts = (service(failure_rate=1.0), trigger(delivery=SINK, dead_letter_service="sink"), events(0.0))
    taken = run(scenario(*parts, service("sink")))
    assert (taken.flows["t"].dead_lettered, taken.services["sink"].succeeded) == (1, 1)
    not_taken = run(scenario(*parts, service("sink", failure_rate=1.0)))
    assert (not_taken.flows["t"].dead_lettered, not_taken.flows["t"].lost) == (0, 1)


def test_the_throttle_bounds_what_is_delivered_at_once() -> None:
    wide = {"container_concurrency": 0, "target": 100.0, "max_scale": 1}
    result = run(scenario(service(scaling=wide), trigger(max_ack_pending=2), events(0.0, 0.0, 0.0, 0.0, 0.0)))
    assert list(latencies(result)) == pytest.approx([1, 1, 2, 2, 3])
    assert result.flows["t"].longest_backlog == 3


def test_an_event_that_waits_out_its_backoff_keeps_its_place_under_the_throttle() -> None:
    flow = trigger(retry=1, delay_s=10.0, max_ack_pending=1, delivery=SINK)
    result = run(scenario(service(failure_rate=1.0), flow, events(0.0, 0.0)))
    assert result.flows["t"].dead_lettered == 2
    # 1 s, the backoff of 10 s, 1 s; then the second event the same.
    assert result.flows["t"].backlog[11] == 1
    assert result.flows["t"].backlog[13] == 0


def test_a_delivery_is_given_up_after_its_timeout_while_it_waits_for_an_instance() -> None:
    flow = trigger(retry=0, timeout_s=2.5, delivery=SINK)
    result = run(scenario(service(scaling={"max_scale": 1}), flow, events(0.0, 0.0, 0.0, 0.0)))
    assert (result.flows["t"].succeeded, result.flows["t"].dead_lettered) == (2, 2)
    assert result.services["a"].timed_out == 2


def test_only_events_that_pass_the_filter_are_delivered() -> None:
    flows = (trigger(trigger=only("wanted")), trigger("all"))
    kinds = [
        Arrivals(name=kind, kind=Target.BROKER, to="default/b", times_s=[1.0], attributes={"type": kind})
        for kind in ("wanted", "other")
    ]
    result = run(scenario(service(), *flows, *kinds))
    assert (result.flows["t"].events, result.flows["all"].events) == (1, 2)


def test_a_request_may_emit_an_event_and_the_latency_counts_from_the_request() -> None:
    asked = service("a", takes_s=0.5, emits=Event(attributes={"type": "job"}, broker="default/b"))
    flow = trigger(service="worker", hop_s=0.25)
    result = run(scenario(asked, service("worker"), flow, requests(3.0)))
    assert list(latencies(result)) == pytest.approx([1.75])
    assert list(result.latencies["service a"].seconds) == pytest.approx([0.5])


def test_a_reply_goes_to_the_triggers_that_take_it() -> None:
    reply = Event(attributes={"type": "done"}, broker="default/b")
    told = trigger("told", service=None, trigger=only("done"))
    result = run(scenario(service(), trigger(reply=reply, trigger=only("job")), told, events(0.0, 5.0)))
    assert (result.flows["told"].events, result.flows["told"].succeeded) == (2, 2)


def test_some_replies_are_rare() -> None:
    reply = Event(attributes={"type": "done"}, broker="default/b", share=0.25)
    flows = (trigger(reply=reply, trigger=only("job")), trigger("told", service=None))
    result = run(scenario(service(takes_s=0.01), *flows, events(*[0.1 * each for each in range(900)])))
    assert 150 < result.flows["told"].events < 300


def test_a_window_bounds_what_is_with_the_broker_and_lets_owners_take_turns() -> None:
    one = service(scaling={"max_scale": 1})
    flow = trigger(window=LaneWindow(1))
    owners = ["many"] * 6 + ["few"]
    result = run(scenario(one, flow, events(*[0.1 * each for each in range(7)], owners=owners)))
    ended = [round(arrived_s, 3) for arrived_s in result.latencies["trigger t"].arrived_s]
    assert ended.index(0.6) <= 2, "the new owner is next but one"
    assert result.flows["t"].longest_backlog == 6


def test_a_backlog_that_is_refused_does_not_recurse() -> None:
    full = service(takes_s=1000.0, scaling={"max_scale": 1}, max_queued=0, timeout_s=2000.0)
    flow = trigger(max_ack_pending=2, delivery=SINK, timeout_s=5000.0)
    result = run(scenario(full, flow, events(*[0.001 * each for each in range(5000)])))
    assert result.flows["t"].dead_lettered == 4999


def test_each_delivery_is_given_up_in_time_also_those_that_follow_from_a_given_up_one() -> None:
    stuck = service(takes_s=1000.0, scaling={"max_scale": 1})
    flow = trigger(max_ack_pending=2, timeout_s=2.5, delivery=SINK)
    result = run(scenario(stuck, flow, events(*[0.0] * 10), duration_s=20))
    assert result.flows["t"].dead_lettered == 10


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_each_event_has_one_end(seed: int) -> None:
    draw = random.Random(seed)
    model = service(
        service_time=Distribution.exponential(0.8),
        scaling={"min_scale": 0, "max_scale": draw.choice([0, 2]), "window_s": 6.0},
        max_queued=draw.choice([3, 10_000]),
        failure_rate=draw.choice([0.0, 0.4]),
        workers=draw.choice([0, 1]),
    )
    flow = trigger(
        retry=draw.choice([0, 2]),
        max_ack_pending=draw.choice([1, 5, 1000]),
        timeout_s=draw.choice([1.0, 30.0]),
        delivery=draw.choice([SINK, {}]),
        window=draw.choice([None, LaneWindow(3)]),
    )
    times = sorted(draw.uniform(0, 40) for _ in range(60))
    result = run(scenario(model, flow, events(*times), seed=seed, duration_s=1000.0)).flows["t"]
    assert result.unfinished == 0
    assert result.succeeded + result.dead_lettered + result.lost == 60
    assert result.delivered == 60 + result.retried
