from __future__ import annotations

from dataclasses import replace

import pytest

from darkroom.cli.plan.package_data import example_prices, load_costs
from darkroom.planning import postgres
from darkroom.planning.cells import compute_cells, workload_of_a_cell
from darkroom.planning.costs import Costs
from darkroom.planning.demand import compute_demand
from darkroom.planning.deployment import Deployment
from darkroom.planning.plan import Plan, make_plan
from darkroom.planning.policy import CellLimits
from darkroom.planning.prices import PricesError, parse_prices
from darkroom.planning.report import describe, findings
from darkroom.planning.sizing import FunctionShape, compute_sizing
from darkroom.planning.wording import format_bytes, format_number
from darkroom.planning.workload import DAY_S, POSTGRES, Workload

LOAD = Workload(per_day=10**6, picture_bytes=634_000, megapixels=3, kept_s=7 * DAY_S, keys=50)
RESIZE = FunctionShape(container_concurrency=2, cpu_limit=2, memory_bytes=2**30, max_scale=10, takes_jobs=True)
HEAVY = FunctionShape(container_concurrency=1, max_scale=4, takes_jobs=True)
NOW = Deployment(
    functions={"resize": RESIZE, "resize-heavy": HEAVY},
    max_ack_pending=40,
    broker_window=40,
    redis_maxmemory_bytes=2**30,
    rate_per_minute=60,
)


def plan_of(workload: Workload, costs: Costs, deployment: Deployment = NOW) -> Plan:
    return make_plan(workload, costs, example_prices(), deployment)


def test_pods_follow_from_the_time_that_jobs_occupy_workers(costs: Costs) -> None:
    demand = compute_demand(LOAD, costs)
    occupied_s = (demand.cpu_ms["resize"] + 25) / 1000
    sizing = compute_sizing(demand, NOW.functions)
    assert demand.busy_workers_at_peak == pytest.approx(LOAD.peak_per_s * occupied_s)
    assert sizing.renderer.exact_pods == pytest.approx(demand.busy_workers_at_peak / (2 * 0.7))
    assert sizing.renderer.max_scale == 2


def test_the_window_is_max_ack_pending_and_covers_every_function_of_the_broker(costs: Costs) -> None:
    sizing = compute_sizing(compute_demand(replace(LOAD, per_day=10**8), costs), NOW.functions)
    renderer = sizing.renderer
    assert sizing.max_ack_pending == 2 * renderer.max_scale * renderer.container_concurrency
    assert sizing.broker_window == sizing.max_ack_pending
    assert sizing.lowest_max_scales["resize-heavy"] * 10 >= sizing.max_ack_pending
    small = compute_sizing(compute_demand(replace(LOAD, per_day=1), costs), {**NOW.functions, "crop": RESIZE})
    assert small.max_ack_pending == 20, "crop processes as many at once"


def test_the_first_part_to_be_too_small_is_the_one_with_the_least_room(costs: Costs) -> None:
    plan = plan_of(LOAD, costs)
    assert [part.use for part in plan.parts] == sorted((part.use for part in plan.parts), reverse=True)
    first = plan.first_too_small
    assert first is not None
    assert first.name == "Redis: maxmemory"
    assert findings(plan)[0].startswith("Redis: maxmemory is too small by ")


def test_a_part_is_just_large_enough_at_the_load_that_is_named(costs: Costs) -> None:
    part = plan_of(LOAD, costs).first_too_small
    assert part is not None
    fitting = plan_of(replace(LOAD, per_day=int(part.largest_per_day(LOAD.per_day))), costs)
    assert next(each for each in fitting.parts if each.name == part.name).use == pytest.approx(1, rel=1e-3)


def test_a_load_that_fits_says_what_would_be_too_small_first(costs: Costs) -> None:
    plan = plan_of(replace(LOAD, per_day=1000), costs)
    assert plan.first_too_small is None
    assert findings(plan)[0].startswith("Nothing is too small. The first to be is ")


def test_fewer_keys_meet_the_rate_limit_sooner(costs: Costs) -> None:
    use = {keys: _rate(plan_of(replace(LOAD, keys=keys), costs)) for keys in (1, 50)}
    assert use[1] == pytest.approx(50 * use[50])
    assert use[50] == pytest.approx(LOAD.peak_per_s * 60 / 50 / 60)


def _rate(plan: Plan) -> float:
    return next(part.use for part in plan.parts if part.name == "ingest: RATE_LIMIT")


@pytest.mark.parametrize("per_day", [10**6, 10**8, 10**9])
def test_a_cell_of_a_divided_load_needs_no_more_cells(per_day: int) -> None:
    workload = replace(LOAD, per_day=per_day, keys=10**6)
    plan = plan_of(workload, load_costs())
    cell = workload_of_a_cell(workload, plan.cells)
    assert cell.per_day * plan.cells.count >= per_day
    demand = compute_demand(cell, load_costs())
    assert compute_cells(demand, compute_sizing(demand, NOW.functions), CellLimits()).count == 1


def test_more_cells_than_keys_is_said(costs: Costs) -> None:
    plan = plan_of(replace(LOAD, per_day=10**9, keys=2), costs)
    assert not plan.cells.keys_are_enough
    assert "there are 2" in findings(plan)[-1]


def test_a_bill_has_an_item_for_each_price_and_grows_with_it(costs: Costs) -> None:
    bill = plan_of(LOAD, costs).bill
    assert bill.total == pytest.approx(sum(bill.items.values()))
    assert bill.items["storage's writes"] == pytest.approx(
        2e6 * 30 / 1000 * example_prices().prices.storage_writes_per_1000
    )
    assert all(amount > 0 for amount in bill.items.values())


def test_postgresql_needs_disk_for_each_record_that_is_kept_and_redis_is_not_paid_for(costs: Costs) -> None:
    plan = plan_of(replace(LOAD, store=POSTGRES), costs)
    store = dict(next(section for section in describe(plan) if section.title == "job store").rows)
    assert store["PostgreSQL disk"].endswith("at least for each copy")
    kept = plan.demand.finished_records * postgres.FINISHED_BYTES
    assert kept < postgres.disk_bytes(plan.demand)
    twice = plan_of(replace(LOAD, store=POSTGRES, kept_s=2 * LOAD.kept_s), costs)
    grown = postgres.disk_bytes(twice.demand) - postgres.disk_bytes(plan.demand)
    assert grown == pytest.approx(kept / postgres.USE)
    assert not any("Redis" in item for item in plan.bill.items)
    assert not any("Redis" in part.name for part in plan.parts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label = ", "not TOML"),
        ('label = "mine"\ncurrency = "EUR"\n[prices]\ncpu_core_hour = -1\n', "prices.cpu_core_hour: .*greater than"),
        ('label = "mine"\ncurrency = "EUR"\n[prices]\ncpu_hour = 1\n', "prices.cpu_hour: Extra inputs"),
    ],
)
def test_a_wrong_price_file_is_refused_with_the_key(text: str, message: str) -> None:
    with pytest.raises(PricesError, match=message):
        parse_prices(text)


def test_the_example_prices_say_that_they_are_an_example() -> None:
    assert "EXAMPLE" in example_prices().label


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (634_000, "634 kB"), (999_600, "1.00 MB"), (4.06e9, "4.06 GB"), (5.23e15, "5.23 PB")],
)
def test_bytes_have_three_digits_and_a_unit(count: float, shown: str) -> None:
    assert format_bytes(count) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0.004, "0.004"), (0.42, "0.42"), (11.57, "11.6"), (347.2, "347"), (12_345, "12,300")]
)
def test_numbers_have_three_digits(count: float, shown: str) -> None:
    assert format_number(count) == shown
