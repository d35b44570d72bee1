"""The reason of each change of scale, in words that somebody on call can use."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
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
    found = bends(*every(1.0, 50), takes_s=0.99, target_utilization=0.7)
    (begins,) = [bend for bend in found if bend.reason.code is Code.PANIC_BEGINS]
    assert begins.wanted == 2
    assert "need 2 instances at a target of 0.7 in flight per instance (1 at 70 %)" in begins.reason.sentence
    assert "200 % of the 1 ready, and panic begins at 200 %" in begins.reason.sentence


def test_a_burst_from_zero_and_back() -> None:
    found = bends(*every(0.02, 100))
    assert codes(found)[:2] == [Code.FIRST_REQUEST, Code.PANIC_BEGINS]
    assert codes(found)[-1] is Code.ZERO
    assert Code.PANIC_ENDS in codes(found)
    assert found[-1].wanted == 0


@pytest.mark.parametrize(
    ("scaling", "code", "words"),
    [
        ({"max_scale": 3}, Code.MAX_SCALE, "max-scale allows 3; the load needs"),
        ({"min_scale": 2}, Code.MIN_SCALE, "min-scale keeps 2"),
        ({"activation_scale": 4, "panic_threshold_percentage": 1000}, Code.ACTIVATION_SCALE, "activation-scale is 4"),
        ({"scale_down_delay_s": 20.0}, Code.DELAY, "scale-down-delay keeps the most wanted within 20 s"),
    ],
)
def test_a_bound_is_named_with_its_value(scaling: dict[str, float], code: Code, words: str) -> None:
    times = every(0.5, 8) if code is Code.ACTIVATION_SCALE else every(0.02, 100)
    model = service(cold_start=STARTS, scaling={"min_scale": 0, "window_s": 10.0, **scaling})
    result = run(scenario(model, requests(*times)))
    assert code in result.services["a"].series.reasons
    sentences = [bend.reason.sentence for bend in result.services["a"].bends if bend.reason.code is code]
    assert all(words in sentence for sentence in sentences)
    if code is not Code.DELAY:
        assert sentences


def test_a_revision_without_load_is_kept_for_its_window() -> None:
    decision, after = decide(
        ScalingConfig(), ScalerState(active_since_s=0.0), Metrics(stable=0, panic=0, ready=1), 30.0
    )
    reason = explain(
        ScalingConfig(), ScalerState(active_since_s=0.0), Metrics(stable=0, panic=0, ready=1), decision, after
    )
    assert reason.code is Code.KEPT_FOR_WINDOW
    assert "60 s" in reason.sentence


@given(seed=st.integers(0, 10**6))
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
    silent = {Code.ZERO, Code.AT_ZERO, Code.DELAY, Code.DOWN_RATE, Code.UP_RATE}
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
