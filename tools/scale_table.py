"""`python -m tools.scale_table docs/scale.md`: writes the plans for three loads into their page.

The manifests are not compared: the page is about what is needed, whatever is deployed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from darkroom.cli.plan.package_data import example_prices, load_costs
from darkroom.planning.cells import workload_of_a_cell
from darkroom.planning.deployment import Deployment
from darkroom.planning.plan import Plan, make_plan
from darkroom.planning.wording import format_bytes, format_number
from darkroom.planning.workload import DAY_S, Workload
from tools.marked_pages import with_generated

BEGIN = "<!-- the plans: made by `make reference`; do not edit -->"
END = "<!-- end of the plans -->"
LOADS = {10**6: 50, 10**8: 5_000, 10**9: 50_000}
"""Keys by jobs a day."""

Rows = Sequence[tuple[str, Callable[[Plan], str]]]

_WHOLE: Rows = (
    ("jobs per second, at the peak", lambda plan: format_number(plan.workload.peak_per_s)),
    ("keys", lambda plan: f"{plan.workload.keys:,}"),
    ("CPU cores, at the peak", lambda plan: f"{format_number(plan.demand.mean_cores)}, {_peak_cores(plan)}"),
    ("JetStream writes per second at the peak", lambda plan: format_number(_writes_per_s(plan))),
    ("PUT requests a day", lambda plan: format_number(plan.demand.s3_requests_per_day("PUT"))),
    ("GET requests a day", lambda plan: format_number(plan.demand.s3_requests_per_day("GET"))),
    ("storage at rest", lambda plan: format_bytes(plan.demand.stored_bytes)),
    ("network at storage, at the peak", lambda plan: f"{format_number(plan.demand.peak_bits_per_s / 1e9)} Gbit/s"),
    ("Redis, added up", lambda plan: format_bytes(plan.demand.redis_maxmemory_bytes)),
    ("cells", lambda plan: f"{plan.cells.count}"),
    ("decided by", lambda plan: plan.cells.decided_by),
)
_CELL: Rows = (
    ("jobs a day", lambda plan: f"{plan.workload.per_day:,}"),
    ("max-scale of resize", lambda plan: f"{plan.sizing.renderer.max_scale}"),
    ("maxAckPending, BROKER_WINDOW", lambda plan: f"{plan.sizing.max_ack_pending}"),
    ("max-scale of ingest, status", lambda plan: f"{_scale(plan, 'ingest')}, {_scale(plan, 'status')}"),
    ("Redis maxmemory", lambda plan: format_bytes(plan.demand.redis_maxmemory_bytes)),
    ("Redis, of its core at the peak", lambda plan: f"{plan.demand.cores_at_peak('redis'):.0%}"),
    ("nats-server, of a core at the peak", lambda plan: f"{plan.demand.cores_at_peak('nats'):.0%}"),
)


def with_plans(page: str) -> str:
    """Return the page with the tables between the two marks regenerated. Raises ValueError when they are missing."""
    return with_generated(page, BEGIN, END, _lines())


def _lines() -> Iterator[str]:
    costs, plans = load_costs(), [_plan(_workload(per_day, keys)) for per_day, keys in LOADS.items()]
    cells = [_plan(workload_of_a_cell(plan.workload, plan.cells)) for plan in plans]
    yield f"By costs measured on {costs.about.measured}, on {costs.about.machine[0]}."
    yield ""
    yield from _table("the whole", _WHOLE, plans, plans)
    yield from _table("each cell", _CELL, plans, cells)


def _table(title: str, rows: Rows, heads: Sequence[Plan], plans: Sequence[Plan]) -> Iterator[str]:
    yield f"| {title} | " + " | ".join(f"{plan.workload.per_day:,} a day" for plan in heads) + " |"
    yield "|---|" + "---|" * len(plans)
    for name, value in rows:
        yield f"| {name} | " + " | ".join(value(plan) for plan in plans) + " |"
    yield ""


def _workload(per_day: int, keys: int) -> Workload:
    return Workload(per_day=per_day, keys=keys, picture_bytes=634_000, megapixels=3.0, kept_s=7 * DAY_S)


def _plan(workload: Workload) -> Plan:
    return make_plan(workload, load_costs(), example_prices(), Deployment())


def _peak_cores(plan: Plan) -> str:
    return format_number(plan.demand.peak_cores)


def _writes_per_s(plan: Plan) -> float:
    return plan.workload.peak_per_s * plan.demand.jetstream_writes


def _scale(plan: Plan, name: str) -> int:
    return next(each.max_scale for each in plan.sizing.functions if each.name == name)


def main() -> None:
    page = Path(sys.argv[1])
    page.write_text(with_plans(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
