"""The autoscaler's decisions in words: each rule of the arithmetic that has changed the number is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.local.revisions.autoscaler import Decision, Metrics, ScalerState, arithmetic_of, decide
from darkroom.local.revisions.decisions import DecisionLog, LoggedDecision
from darkroom.manifests.revision import ScalingConfig

TWO = 2 / 0.7
"""The target with which the autoscaler aims for two requests per instance."""


def words(
    config: ScalingConfig,
    *,
    stable: float,
    panic: float | None = None,
    ready: int = 1,
    state: ScalerState | None = None,
    now_s: float = 1000,
) -> str:
    metrics = Metrics(stable=stable, panic=stable if panic is None else panic, ready=ready)
    decision, _ = decide(config, state or ScalerState(active_since_s=0 if ready else None), metrics, now_s)
    return arithmetic_of(config, metrics, decision)


@pytest.mark.parametrize(
    ("config", "measured", "sentence"),
    [
        (
            ScalingConfig(target=TWO, max_scale=3),
            {"stable": 7.3, "ready": 3},
            "concurrency 7.3 over 60 s at a target of 2 asks for 4; max-scale allows 3",
        ),
        (
            ScalingConfig(target=TWO),
            {"stable": 3.9, "panic": 12.0, "ready": 1},
            "panic: concurrency 12 over 6 s at a target of 2 asks for 6",
        ),
        (
            ScalingConfig(target=TWO, min_scale=2),
            {"stable": 0.04},
            "concurrency 0.04 over 60 s at a target of 2 asks for 1; min-scale keeps 2",
        ),
        (
            ScalingConfig(target=TWO),
            {"stable": 2.0, "ready": 10},
            "concurrency 2 over 60 s at a target of 2 asks for 1; max-scale-down-rate 2 keeps 5 of the 10 ready",
        ),
        (
            ScalingConfig(target=TWO, max_scale_up_rate=3, window_s=30),
            {"stable": 20.0, "ready": 1, "panic": 0.0},
            "concurrency 20 over 30 s at a target of 2 asks for 10; max-scale-up-rate 3 allows 3 with 1 ready",
        ),
        (
            ScalingConfig(target=TWO, activation_scale=3),
            {"stable": 1.0, "ready": 1},
            "concurrency 1 over 60 s at a target of 2 asks for 1; activation-scale begins with 3",
        ),
        (ScalingConfig(target=TWO), {"stable": 0.0, "ready": 0}, "no request in 60 s asks for 0"),
        (
            ScalingConfig(target=TWO, window_s=60),
            {"stable": 0.0, "ready": 1, "now_s": 30},
            "no request in 60 s asks for 0; 1 stays until it has been active for the whole window",
        ),
        (
            ScalingConfig(target=TWO, retention_s=90, scale_to_zero_grace_s=0),
            {"stable": 0.0, "ready": 1, "state": ScalerState(inactive_since_s=950)},
            "no request in 60 s asks for 0; 1 stays until the window and scale-to-zero-pod-retention-period 90 s are "
            "over",
        ),
        (
            ScalingConfig(target=TWO, scale_down_delay_s=60),
            {"stable": 2.0, "ready": 2, "state": ScalerState(active_since_s=0, recent=((490, 5),))},
            "concurrency 2 over 60 s at a target of 2 asks for 1; scale-down-delay keeps the 5 wanted within 60 s",
        ),
        (
            ScalingConfig(target=TWO),
            {"stable": 2.0, "ready": 6, "state": ScalerState(active_since_s=0, panic_since_s=990, max_panic=6)},
            "concurrency 2 over 60 s at a target of 2 asks for 1; max-scale-down-rate 2 keeps 3 of the 6 ready; panic "
            "keeps the 6 wanted since it began",
        ),
    ],
    ids=["max", "panic", "min", "down rate", "up rate", "activation", "zero", "window", "retention", "delay", "keeps"],
)
def test_a_decision_is_explained_by_its_arithmetic(
    config: ScalingConfig, measured: dict[str, float], sentence: str
) -> None:
    assert words(config, **measured) == sentence  # type: ignore[arg-type]


@given(
    stable=st.floats(0, 500),
    panic=st.floats(0, 500),
    ready=st.integers(0, 40),
    min_scale=st.integers(0, 4),
    max_scale=st.sampled_from([0, 4, 9]),
)
def test_any_decision_can_be_explained_and_ends_with_its_number(
    stable: float, panic: float, ready: int, min_scale: int, max_scale: int
) -> None:
    config = ScalingConfig(target=TWO, min_scale=min_scale, max_scale=max_scale)
    metrics = Metrics(stable=stable, panic=panic, ready=ready)
    decision, _ = decide(config, ScalerState.at_start(ready=ready, now_s=0), metrics, 1000)
    last = arithmetic_of(config, metrics, decision).split("; ")[-1]
    assert str(decision.desired) in last


def decided(at: float, stable: float) -> LoggedDecision:
    metrics = Metrics(stable=stable, panic=stable, ready=1)
    decision = Decision(desired=1, unbounded=1, panicking=False)
    return LoggedDecision(at=at, config=ScalingConfig(), metrics=metrics, decision=decision)


def test_decisions_that_are_alike_are_kept_as_the_first_and_the_last() -> None:
    log = DecisionLog()
    for at in range(100):
        log.add(decided(at, 1.0 if at < 98 else 2.0))
    assert [(each.at, each.metrics.stable) for each in log.since(0)] == [(0, 1.0), (97, 1.0), (98, 2.0), (99, 2.0)]
    assert log.latest is not None
    assert log.latest.at == 99


def test_the_log_of_decisions_is_bounded() -> None:
    log = DecisionLog(max_kept=10)
    for at in range(1000):
        log.add(decided(at, float(at)))
    assert [each.at for each in log.since(0)] == list(range(990, 1000))


def test_what_is_asked_for_since_a_time_begins_with_what_held_then() -> None:
    log = DecisionLog()
    for at in (10, 20, 30, 40):
        log.add(decided(at, float(at)))
    assert [each.at for each in log.since(25)] == [20, 30, 40]
    assert [each.at for each in log.since(50)] == [40]
