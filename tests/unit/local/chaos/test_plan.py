"""The plan of a run of chaos: what a seed draws, and what it decides about deliveries."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.local.chaos.plan import (
    LONGEST_PAUSE_S,
    FaultKind,
    Order,
    Slowness,
    Targets,
    draw,
    fraction,
    mixed,
)

NAMES = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4, unique=True).map(sorted).map(tuple)
SHARES = st.floats(0, 0.3)
ORDERS = st.builds(
    Order,
    seed=st.integers(0, 2**63 - 1),
    lasts_s=st.floats(0.1, 100),
    interval_s=st.none() | st.floats(2, 20),
    kill=st.booleans(),
    pause=st.booleans(),
    slow=st.none() | st.builds(Slowness, shortest_s=st.just(0.1), longest_s=st.floats(0.1, 3), share=st.floats(0, 1)),
    fail=SHARES,
    duplicate=SHARES,
    drop_reply=SHARES,
)
TARGETS = st.builds(Targets, services=NAMES, triggers=NAMES, servers=NAMES)
SHOP = Targets(services=("confirm", "place"), triggers=("confirm", "place"), servers=("nats",))


@settings(max_examples=40)
@given(ORDERS, TARGETS)
def test_the_same_seed_draws_the_same_bytes(order: Order, targets: Targets) -> None:
    first, second = draw(order, targets), draw(order, targets)
    assert json.dumps(first.as_dict()) == json.dumps(second.as_dict())
    assert first.digest == second.digest
    assert list(first.first_deliveries(20)) == list(second.first_deliveries(20))


@settings(max_examples=40)
@given(ORDERS, TARGETS)
def test_faults_are_in_order_within_the_run_and_hit_what_may_be_hit(order: Order, targets: Targets) -> None:
    faults = draw(order, targets).processes
    times = [fault.at_s for fault in faults]
    assert times == sorted(times)
    assert all(0 <= at_s <= order.lasts_s for at_s in times)
    for fault in faults:
        assert fault.target in (targets.servers if fault.kind is FaultKind.SERVER else targets.services)
        assert 0 <= fault.pick < 1
        assert fault.at_s + fault.lasts_s <= order.lasts_s + 0.01
        assert (fault.lasts_s > 0) == (fault.kind is FaultKind.PAUSE) or fault.lasts_s < 0.01
        assert fault.lasts_s <= LONGEST_PAUSE_S
    assert order.kill or FaultKind.KILL not in {fault.kind for fault in faults}
    assert order.pause or FaultKind.PAUSE not in {fault.kind for fault in faults}


@settings(max_examples=40)
@given(ORDERS, st.integers(1, 10**6), st.integers(1, 5))
def test_a_delivery_has_at_most_one_failure_and_a_delay_within_its_bounds(
    order: Order, number: int, attempt: int
) -> None:
    fault = draw(order, SHOP).of_delivery("place", number, attempt)
    assert fault.delay in {None, FaultKind.SLOW_REQUEST, FaultKind.SLOW_ANSWER}
    assert fault.failure not in {FaultKind.SLOW_REQUEST, FaultKind.SLOW_ANSWER}
    if fault.delay is not None:
        assert order.slow is not None
        assert order.slow.shortest_s <= fault.delay_s <= order.slow.longest_s


def test_a_plan_is_the_same_in_every_version() -> None:
    """A changed digest means that seeds which people have noted down draw something else now."""
    plan = draw(mixed(Order(seed=7), ["nats"]), SHOP)
    assert fraction(7, "place", 1, 1, "failure") == pytest.approx(0.901254227)
    assert [(fault.at_s, fault.kind.value, fault.target) for fault in plan.processes[:3]] == [
        (2.681, "server", "nats"),
        (7.718, "kill", "confirm"),
        (10.672, "pause", "confirm"),
    ]


def test_each_kind_has_its_turn_even_in_a_short_run() -> None:
    for seed in range(50):
        plan = draw(mixed(Order(seed=seed, lasts_s=3), ["nats"]), SHOP)
        kinds = {fault.kind for fault in plan.processes}
        assert len(kinds) >= 2
        assert plan.processes[0].at_s < 1


def test_shares_are_met() -> None:
    order = Order(seed=1, fail=0.2, duplicate=0.1, drop_reply=0.05, slow=Slowness(shortest_s=1, longest_s=2, share=0.3))
    plan = draw(order, SHOP)
    kinds = Counter(kind for number in range(10_000) for kind in plan.of_delivery("place", number, 1).kinds)
    assert kinds[FaultKind.FAIL_BEFORE] + kinds[FaultKind.FAIL_AFTER] == pytest.approx(2000, rel=0.1)
    assert kinds[FaultKind.FAIL_BEFORE] == pytest.approx(1000, rel=0.15)
    assert kinds[FaultKind.DUPLICATE] == pytest.approx(1000, rel=0.15)
    assert kinds[FaultKind.DROP_REPLY] == pytest.approx(500, rel=0.2)
    assert kinds[FaultKind.SLOW_REQUEST] + kinds[FaultKind.SLOW_ANSWER] == pytest.approx(3000, rel=0.1)


def test_triggers_that_are_not_named_are_left_alone() -> None:
    plan = draw(Order(seed=1, fail=1.0), Targets(services=(), triggers=("confirm",), servers=()))
    assert plan.of_delivery("confirm", 1, 1).failure is not None
    assert plan.of_delivery("place", 1, 1).kinds == ()


def test_deliveries_and_triggers_are_decided_about_independently() -> None:
    plan = draw(Order(seed=1, fail=0.5), SHOP)
    place = [plan.of_delivery("place", number, 1).failure for number in range(64)]
    assert place != [plan.of_delivery("confirm", number, 1).failure for number in range(64)]
    assert place != [plan.of_delivery("place", number, 2).failure for number in range(64)]


@pytest.mark.parametrize("shares", [{"fail": 1.1}, {"fail": -0.1}, {"fail": 0.6, "duplicate": 0.5}])
def test_shares_beyond_all_deliveries_are_refused_with_their_values(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at most 100% together, were"):
        Order(seed=1, **shares)  # type: ignore[arg-type]
