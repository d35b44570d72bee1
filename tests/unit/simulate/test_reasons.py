"""The reason of each change of scale, in words that somebody on call can use."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.local.revisions.autoscaler import Code, Metrics, ScalerState, decide, explain
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate import Bend, ColdStart, Distribution, run
from tests.unit.simulate.scenarios import every, requests, scenario, service

STARTS = ColdStart(alone=Distribution.constant(0.5))


def bends(*times_s: float, takes_s: float = 1.0, **scaling: float) -> tuple[Bend, ...]:
    model = service(takes_s=takes_s, cold_start=STARTS, scaling={"min_scale": 0, "window_s": 10.0, **scaling})
    return run(scenario(model, requests(*times_s))).services["a"].bends


def codes(found: tuple[Bend, ...]) -> list[Code]:
    return [bend.reason.code for bend in found]


def test_one_steady_request_at_70_percent_of_one_panics_and_says_why() -> None:
    found = bends(*every(1.0, 50), takes_s=0.99, target_utilization=0.7, min_scale=1)
    begins, *_ = [bend for bend in found if bend.reason.code is Code.PANIC_BEGINS]
    assert begins.wanted == 2
    assert "need 2 instances at a target of 0.7 in flight per instance (1 at 70 %)" in begins.reason.sentence
    assert "200 % of the 1 ready, and panic begins at 200 %" in begins.reason.sentence


def test_a_burst_from_zero_and_back() -> None:
    found = bends(*every(0.02, 100))
    assert codes(found)[:2] == [Code.FIRST_REQUEST, Code.PANIC_BEGINS]
    assert codes(found)[-1] is Code.ZERO
    assert Code.PANIC_ENDS in codes(found)
    assert found[-1].wanted == 0


AWAKE = ScalerState(active_since_s=0.0)
LOADED = Metrics(stable=3.0, panic=3.0, ready=3)
IDLE = Metrics(stable=0.0, panic=0.0, ready=1)
PANICKING = ScalerState(active_since_s=0.0, panic_since_s=95.0, max_panic=7)


@pytest.mark.parametrize(
    ("scaling", "state", "metrics", "code", "words"),
    [
        ({}, AWAKE, LOADED, Code.STABLE, "3.0 requests in flight over the stable window of 10 s need 3 instances"),
        ({"max_scale": 2}, AWAKE, LOADED, Code.MAX_SCALE, "max-scale allows 2; the load needs 3"),
        ({"min_scale": 5}, AWAKE, LOADED, Code.MIN_SCALE, "min-scale keeps 5; the load needs 3"),
        ({"activation_scale": 6}, AWAKE, LOADED, Code.ACTIVATION_SCALE, "activation-scale is 6"),
        ({"max_scale_up_rate": 1.0}, AWAKE, replace(LOADED, ready=2), Code.UP_RATE, "at most 1 times the 2 ready"),
        ({}, AWAKE, replace(LOADED, ready=8), Code.DOWN_RATE, "no more than all but 1/2 of the 8 ready"),
        (
            {"scale_down_delay_s": 20.0},
            replace(AWAKE, recent=((49, 9),)),
            LOADED,
            Code.DELAY,
            "scale-down-delay keeps 9, the most wanted within 20 s; now 3.0 requests in flight need 3",
        ),
        ({}, AWAKE, replace(LOADED, ready=1), Code.PANIC_BEGINS, "300 % of the 1 ready, and panic begins at 200 %"),
        ({}, PANICKING, replace(LOADED, panic=9.0), Code.PANIC, "in panic, 9.0 requests in flight"),
        ({}, PANICKING, LOADED, Code.PANIC_HOLDS, "in panic nothing is scaled down: 7 instances, the most since"),
        ({}, replace(PANICKING, panic_since_s=80.0), LOADED, Code.PANIC_ENDS, "panic is over, 10 s after"),
        ({}, replace(AWAKE, active_since_s=95.0), IDLE, Code.KEPT_FOR_WINDOW, "stays so for the stable window of 10 s"),
        ({"retention_s": 40.0}, AWAKE, IDLE, Code.KEPT_FOR_GRACE, "kept for 40 s more"),
        ({"scale_to_zero_grace_s": 0.0}, AWAKE, IDLE, Code.ZERO, "scaled to zero"),
        ({}, ScalerState(), IDLE, Code.AT_ZERO, "at zero"),
    ],
)
def test_each_cause_is_named_with_its_numbers(
    scaling: dict[str, float], state: ScalerState, metrics: Metrics, code: Code, words: str
) -> None:
    given = {"target": 1.0, "target_utilization": 1.0, "window_s": 10.0, "max_scale_down_rate": 2.0, **scaling}
    config = ScalingConfig(**given)  # type: ignore[arg-type]
    decision, after = decide(config, state, metrics, 100.0)
    reason = explain(config, state, metrics, decision, after)
    assert (reason.code, words in reason.sentence) == (code, True), reason.sentence


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_the_reason_of_a_change_says_the_number_that_is_wanted(seed: int) -> None:
    """Whatever the reason, the sentence has the number, unless it is about zero or speaks of a rate."""
    draw = random.Random(seed)
    model = service(
        service_time=Distribution.exponential(draw.choice([0.2, 2.0])),
        cold_start=STARTS,
        scaling={
            "min_scale": draw.choice([0, 0, 2]),
            "max_scale": draw.choice([0, 5]),
            "window_s": draw.choice([6.0, 20.0]),
            "activation_scale": draw.choice([1, 3]),
            "scale_down_delay_s": draw.choice([0.0, 5.0]),
        },
    )
    times = sorted(draw.uniform(0, 60) for _ in range(draw.randint(1, 150)))
    silent = {Code.ZERO, Code.AT_ZERO, Code.DOWN_RATE, Code.UP_RATE}
    for bend in run(scenario(model, requests(*times), seed=seed)).services["a"].bends:
        assert bend.before != bend.wanted
        if bend.reason.code not in silent:
            assert str(bend.wanted) in bend.reason.sentence, bend


def test_a_reason_as_a_dictionary_has_its_numbers() -> None:
    (first, *_) = bends(1.0)
    shown = first.reason.as_dict()
    assert shown["code"] == "first-request"
    assert shown["numbers"]["wanted"] == 1
    assert shown["sentence"] == first.reason.sentence
    assert replace(first.reason, code=Code.STABLE).sentence != first.reason.sentence
