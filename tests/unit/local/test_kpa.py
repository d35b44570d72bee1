"""Results observed from Knative's own autoscaler, and properties that must hold for any input."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkroom.local.revisions.autoscaler import TICK_S, Decision, Metrics, ScalerState, decide
from darkroom.manifests.revision import ScalingConfig

# Rates of 10, as in the cases; the target is the whole of it.
BASE = ScalingConfig(
    target=10, target_utilization=1.0, max_scale_up_rate=10, max_scale_down_rate=10, scale_to_zero_grace_s=30
)
AWAKE = ScalerState(active_since_s=0.0)


def wanted(
    config: ScalingConfig, ready: int, stable: float, panic: float, *, state: ScalerState = AWAKE, now_s: float = 0.0
) -> int:
    return decide(config, state, Metrics(stable=stable, panic=panic, ready=ready), now_s)[0].desired


class Clock:
    """Consecutive decisions, each on the state of the previous one."""

    def __init__(self, config: ScalingConfig, *, ready: int = 0, now_s: float = 0.0) -> None:
        self.config = config
        self.state = ScalerState.at_start(ready=ready, now_s=now_s)

    def at(self, now_s: float, *, ready: int, stable: float, panic: float, reachable: bool = True) -> Decision:
        metrics = Metrics(stable=stable, panic=panic, ready=ready)
        decision, self.state = decide(self.config, self.state, metrics, now_s, reachable=reachable)
        return decision


# --- the printed cases -----------------------------------------------------------------------------------------------


def test_the_stable_window_decides_without_a_panic() -> None:
    assert wanted(BASE, ready=1, stable=50, panic=10) == 5


def test_a_panic_counts_from_its_threshold_on() -> None:
    assert wanted(BASE, ready=1, stable=50, panic=50) == 5
    assert wanted(BASE, ready=1, stable=50, panic=100) == 10


def test_while_panicking_the_larger_of_both_windows_decides() -> None:
    panicking = replace(AWAKE, panic_since_s=0.0)
    assert wanted(replace(BASE, target=1), ready=5, stable=50, panic=30, state=panicking, now_s=1.0) == 50


def test_a_slow_rate_still_lets_one_more_instance_start() -> None:
    config = replace(BASE, target=1, max_scale_up_rate=1.1)
    assert wanted(config, ready=2, stable=3, panic=3.1) == 3


def test_scaling_down_is_limited_by_its_rate_unless_the_revision_is_unreachable() -> None:
    config = replace(BASE, max_scale_down_rate=1.1)
    metrics = Metrics(stable=1, panic=1, ready=100)
    assert decide(config, AWAKE, metrics, 0.0)[0].desired == 90
    assert decide(config, AWAKE, metrics, 0.0, reachable=False)[0].desired == 1


def test_a_panic_ends_a_stable_window_after_its_threshold_was_last_reached() -> None:
    clock = Clock(BASE, ready=1)
    assert clock.at(0.0, ready=1, stable=100, panic=100).desired == 10
    assert clock.at(0.5, ready=10, stable=100, panic=1000).desired == 100
    calm = clock.at(30.0, ready=10, stable=1, panic=1)
    assert (calm.desired, calm.panicking) == (100, True)
    over = clock.at(61.0, ready=10, stable=1, panic=1)
    assert (over.desired, over.panicking) == (1, False)


def test_scaling_down_waits_for_the_delay_window() -> None:
    clock = Clock(replace(BASE, scale_down_delay_s=300.0), ready=1)
    assert clock.at(2.0, ready=1, stable=40, panic=40).unbounded == 4
    # The panic of the first decision is over by then.
    assert clock.at(300.0, ready=1, stable=0, panic=0).unbounded == 4
    assert clock.at(302.0, ready=1, stable=0, panic=0).unbounded == 0


# --- further steps of the arithmetic ---------------------------------------------------------------------------------


def test_with_one_request_at_70_percent_a_steady_single_request_wants_two_and_panics() -> None:
    config = ScalingConfig(target=1, target_utilization=0.7, container_concurrency=1)
    decision, _ = decide(config, AWAKE, Metrics(stable=1, panic=1, ready=1), 0.0)
    assert (decision.desired, decision.panicking) == (2, True)


def test_at_100_percent_it_wants_one() -> None:
    config = ScalingConfig(target=1, target_utilization=1.0, container_concurrency=1)
    decision, _ = decide(config, AWAKE, Metrics(stable=1, panic=1, ready=1), 0.0)
    assert (decision.desired, decision.panicking) == (1, False)


def test_a_target_of_next_to_nothing_is_a_hundredth() -> None:
    config = ScalingConfig(target=0.01, target_utilization=0.01)
    assert wanted(config, ready=1, stable=1, panic=1) == 100


def test_the_activation_scale_holds_once_anything_is_wanted() -> None:
    config = replace(BASE, activation_scale=3)
    assert wanted(config, ready=1, stable=1, panic=1) == 3
    assert wanted(config, ready=5, stable=0, panic=0, state=ScalerState()) == 0


def test_an_autoscaler_that_starts_with_several_instances_keeps_them_for_a_window() -> None:
    clock = Clock(BASE, ready=5)
    assert clock.at(2.0, ready=5, stable=0, panic=0).desired == 5
    assert clock.at(62.0, ready=5, stable=10, panic=10).desired == 1


def test_it_starts_calmly_with_one_instance() -> None:
    assert ScalerState.at_start(ready=1, now_s=0.0).panic_since_s is None


def test_min_and_max_scale_bound_the_decision() -> None:
    bounded = replace(BASE, min_scale=2, max_scale=4)
    assert wanted(bounded, ready=2, stable=0, panic=0) == 2
    decision, _ = decide(bounded, AWAKE, Metrics(stable=100, panic=100, ready=2), 0.0)
    assert (decision.desired, decision.unbounded) == (4, 10)


def test_min_scale_does_not_keep_an_unreachable_revision() -> None:
    config = replace(BASE, min_scale=2, scale_to_zero_grace_s=0)
    state = ScalerState(active_since_s=0.0)
    assert decide(config, state, Metrics(stable=0, panic=0, ready=2), 100.0, reachable=False)[0].desired == 0


# --- scaling to zero and back ----------------------------------------------------------------------------------------


def test_an_idle_revision_goes_to_zero_after_the_stable_window_and_the_grace_period() -> None:
    clock = Clock(BASE)
    assert clock.at(0.0, ready=0, stable=1, panic=1).desired == 1
    assert clock.at(58.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(60.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(88.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(90.0, ready=1, stable=0, panic=0).desired == 0
    assert clock.at(92.0, ready=0, stable=0, panic=0).desired == 0


def test_a_longer_retention_period_takes_the_place_of_the_grace_period() -> None:
    clock = Clock(replace(BASE, retention_s=50.0), ready=1)
    assert clock.at(60.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(108.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(110.0, ready=1, stable=0, panic=0).desired == 0


def test_a_request_in_the_grace_period_restarts_scaling_to_zero() -> None:
    clock = Clock(BASE, ready=1)
    assert clock.at(60.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(80.0, ready=1, stable=1, panic=1).desired == 1
    assert clock.at(92.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(140.0, ready=1, stable=0, panic=0).desired == 1
    assert clock.at(170.0, ready=1, stable=0, panic=0).desired == 0


def test_a_revision_at_zero_wants_an_instance_with_its_first_request() -> None:
    clock = Clock(BASE)
    assert clock.at(0.0, ready=0, stable=0, panic=0).desired == 0
    assert clock.at(1.0, ready=0, stable=1, panic=1).desired == 1


def test_min_scale_keeps_a_revision_from_zero() -> None:
    clock = Clock(replace(BASE, min_scale=1), ready=1)
    assert clock.at(1000.0, ready=1, stable=0, panic=0).desired == 1


# --- properties ------------------------------------------------------------------------------------------------------

_configs = st.builds(
    ScalingConfig,
    min_scale=st.integers(0, 3),
    max_scale=st.sampled_from([0, 3, 10]),
    target=st.floats(0.5, 100),
    target_utilization=st.floats(0.1, 1.0),
    window_s=st.sampled_from([6.0, 30.0, 60.0]),
    scale_down_delay_s=st.sampled_from([0.0, 10.0]),
    activation_scale=st.integers(1, 3),
    max_scale_up_rate=st.sampled_from([1.1, 2.0, 1000.0]),
    max_scale_down_rate=st.sampled_from([1.1, 2.0]),
)
_loads = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=1, max_size=30)


@given(config=_configs, loads=_loads)
def test_a_decision_is_always_within_its_bounds(config: ScalingConfig, loads: list[tuple[float, float]]) -> None:
    clock, ready = Clock(config), 0
    for tick, (stable, panic) in enumerate(loads):
        ready = clock.at(2.0 * tick, ready=ready, stable=stable, panic=panic).desired
        assert ready >= config.min_scale
        assert config.max_scale == 0 or ready <= config.max_scale


@given(config=_configs, loads=_loads)
def test_without_a_delay_what_is_wanted_never_falls_while_panicking(
    config: ScalingConfig, loads: list[tuple[float, float]]
) -> None:
    """A delay may hold more than the panic wants, from before it, and let go of it during the panic."""
    clock, ready, before = Clock(replace(config, scale_down_delay_s=0.0)), 0, None
    for tick, (stable, panic) in enumerate(loads):
        decision = clock.at(2.0 * tick, ready=ready, stable=stable, panic=panic)
        if before is not None and before.panicking and decision.panicking:
            assert decision.unbounded >= before.unbounded
        before, ready = decision, decision.desired


@given(
    config=_configs,
    delay_s=st.sampled_from([0.5, 2.0, 3.0, 10.0, 60.0]),
    loads=_loads,
    pauses_s=st.lists(st.sampled_from([0.5, 2.0, 2.0, 2.0, 7.0]), min_size=30, max_size=30),
)
# Ten are wanted before the panic and six in it, though no more than three may run.
@example(config=replace(BASE, target=1, max_scale=3), delay_s=4.0, loads=[(10, 0), (6, 6), (6, 6)], pauses_s=[2.0] * 30)
def test_with_a_delay_the_largest_of_the_latest_decisions_holds_within_the_bounds(
    config: ScalingConfig, delay_s: float, loads: list[tuple[float, float]], pauses_s: list[float]
) -> None:
    """The same arithmetic without a delay, fed with the same instances, makes the decisions that the delay goes by."""
    delayed, undelayed = (Clock(replace(config, scale_down_delay_s=each_s)) for each_s in (delay_s, 0.0))
    ready, now_s = 0, 0.0
    made: list[tuple[int, int]] = []
    for (stable, panic), pause_s in zip(loads, pauses_s, strict=False):
        held = delayed.at(now_s, ready=ready, stable=stable, panic=panic)
        at_once = undelayed.at(now_s, ready=ready, stable=stable, panic=panic)
        tick = int(now_s // TICK_S)
        made.append((tick, at_once.unbounded))
        largest = max(wanted for at, wanted in made if at > tick - math.ceil(delay_s / TICK_S))
        assert (held.unbounded, held.panicking) == (largest, at_once.panicking)
        bounded = min(max(largest, config.min_scale), config.max_scale or math.inf)
        # Nobody wanted is the way to zero, which has rules of its own.
        assert held.desired == bounded or bounded == 0
        ready, now_s = held.desired, now_s + pause_s


@given(config=_configs, ready=st.integers(0, 20), load=st.floats(0, 300), more=st.floats(0, 300))
def test_more_load_never_wants_fewer_instances(config: ScalingConfig, ready: int, load: float, more: float) -> None:
    less = wanted(config, ready=ready, stable=load, panic=load)
    assert wanted(config, ready=ready, stable=load + more, panic=load + more) >= less


@given(config=_configs, loads=_loads)
def test_without_load_every_revision_comes_down_to_its_minimum(
    config: ScalingConfig, loads: list[tuple[float, float]]
) -> None:
    clock, ready, now_s = Clock(config), 0, 0.0
    for stable, panic in loads:
        ready = clock.at(now_s, ready=ready, stable=stable, panic=panic).desired
        now_s += 2.0
    for _ in range(500):
        ready = clock.at(now_s, ready=ready, stable=0.0, panic=0.0).desired
        now_s += 2.0
    assert ready == config.min_scale


@pytest.mark.parametrize("ready", [0, 1, 7])
def test_deciding_changes_no_state_that_was_handed_in(ready: int) -> None:
    before = ScalerState.at_start(ready=ready, now_s=0.0)
    copy = replace(before)
    decide(BASE, before, Metrics(stable=500, panic=500, ready=ready), 5.0)
    assert before == copy
