"""The whole plan: a workload, what it needs, and what there is."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.planning.cells import Cells, compute_cells
from darkroom.planning.costs import Costs
from darkroom.planning.demand import Demand, compute_demand
from darkroom.planning.deployment import Deployment, Part, compare
from darkroom.planning.policy import CellLimits
from darkroom.planning.prices import Bill, Prices, compute_bill
from darkroom.planning.sizing import Sizing, compute_sizing
from darkroom.planning.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Plan:
    workload: Workload
    costs: Costs
    demand: Demand
    sizing: Sizing
    parts: tuple[Part, ...]
    """What is deployed, compared with what is needed; the smallest in proportion first."""
    cells: Cells
    bill: Bill
    deployment: Deployment

    @property
    def first_too_small(self) -> Part | None:
        return self.parts[0] if self.parts and self.parts[0].use > 1 else None


def make_plan(
    workload: Workload, costs: Costs, prices: Prices, deployment: Deployment, limits: CellLimits | None = None
) -> Plan:
    """Compute the plan. Raises WorkloadError for what was not measured."""
    demand = compute_demand(workload, costs)
    sizing = compute_sizing(demand, deployment.functions)
    return Plan(
        workload=workload,
        costs=costs,
        demand=demand,
        sizing=sizing,
        parts=tuple(compare(demand, sizing, deployment)),
        cells=compute_cells(demand, sizing, limits or CellLimits()),
        bill=compute_bill(demand, sizing, prices),
        deployment=deployment,
    )
