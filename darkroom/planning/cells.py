"""Into how many cells a load is divided. A cell is a whole installation: Broker, job store, functions and a prefix in
storage. Keys are mapped to cells, so that a job never leaves its cell; docs/scale.md describes the design.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from darkroom.planning.demand import Demand
from darkroom.planning.policy import CellLimits
from darkroom.planning.sizing import Sizing
from darkroom.planning.workload import REDIS, Workload


@dataclass(frozen=True, kw_only=True)
class CellNeed:
    """How many cells one part would need."""

    part: str
    cells: int


@dataclass(frozen=True, kw_only=True)
class Cells:
    needs: tuple[CellNeed, ...]
    """The part that needs most first."""
    keys: int

    @property
    def count(self) -> int:
        return self.needs[0].cells

    @property
    def decided_by(self) -> str:
        return self.needs[0].part

    @property
    def keys_are_enough(self) -> bool:
        """Whether each cell gets a key. A key's jobs are in one cell."""
        return self.keys >= self.count


def compute_cells(demand: Demand, sizing: Sizing, limits: CellLimits) -> Cells:
    needs = sorted(_needs(demand, sizing, limits), key=lambda need: -need.cells)
    return Cells(needs=tuple(needs), keys=demand.workload.keys)


def workload_of_a_cell(workload: Workload, cells: Cells) -> Workload:
    """Return one cell's share of the load, if the keys are spread evenly."""
    return replace(
        workload, per_day=ceil(workload.per_day / cells.count), keys=max(1, ceil(workload.keys / cells.count))
    )


def _needs(demand: Demand, sizing: Sizing, limits: CellLimits) -> Iterator[CellNeed]:
    redis = (
        ("Redis' memory", demand.redis_maxmemory_bytes, limits.redis_bytes),
        ("Redis' core", demand.load_cores_at_peak("redis"), _core_left(demand, "redis", limits)),
    )
    for part, needed, available in (
        *(redis if demand.workload.store == REDIS else ()),
        ("the stream's leader", demand.load_cores_at_peak("nats"), _core_left(demand, "nats", limits)),
        (f"pods of {sizing.renderer.name}", sizing.renderer.exact_pods, limits.pods_per_function),
        ("writes to a prefix", demand.s3_writes_per_s_at_peak, limits.s3_writes_per_s),
        ("reads from a prefix", demand.s3_reads_per_s_at_peak, limits.s3_reads_per_s),
    ):
        yield CellNeed(part=part, cells=max(1, ceil(needed / available)))


def _core_left(demand: Demand, process: str, limits: CellLimits) -> float:
    """Return what a cell's load may take of the core: each cell's server takes a little of it anyway."""
    return limits.single_core_use - demand.standing_cores.get(process, 0.0)
