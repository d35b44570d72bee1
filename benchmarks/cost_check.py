"""Compares the plan with a measured run: CPU time, memory and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cost_cases import Case
from benchmarks.cost_model import PLATFORM, RENDERERS, milliseconds
from benchmarks.measure.job_costs import CaseCosts, Run
from darkroom.cli.plan.package_data import load_costs
from darkroom.planning.costs import RENDER
from darkroom.planning.demand import Demand, compute_demand
from darkroom.planning.workload import Workload

WITHIN = 0.15


@dataclass(frozen=True, kw_only=True)
class Comparison:
    what: str
    planned: float
    measured: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.planned / self.measured if self.measured else float("inf")

    @property
    def holds(self) -> bool:
        return abs(self.ratio - 1) <= WITHIN


def compare(run: Run, *, time: bool = True) -> list[Comparison]:
    """Compare each case; without `time`, only what is counted in bytes and requests."""
    compared = [each for costs in run.cases for each in _case(costs, time=time)]
    finished = load_costs().redis_bytes.finished
    compared.append(
        Comparison(what="Redis: a finished job", planned=finished, measured=run.redis_finished_bytes_each, unit="bytes")
    )
    return compared


def _case(costs: CaseCosts, *, time: bool) -> Iterator[Comparison]:
    demand, name = planned(costs.case, costs.input_bytes), costs.case.name
    if time:
        measured = costs.measured
        standing_ms = sum(demand.standing_cores.values()) * measured.seconds * 1000 / measured.count
        planned_ms = (demand.cpu_ms_per_job + standing_ms) * slowness(costs.reference_ms)
        yield Comparison(what=f"{name}: CPU", planned=planned_ms, measured=measured.total_ms_each, unit="ms a job")
        pod_bytes = demand.pod_bytes[RENDER]
        yield Comparison(
            what=f"{name}: memory of a pod", planned=pod_bytes, measured=costs.pod_bytes[RENDER], unit="bytes"
        )
    for what, planned_bytes, measured_bytes in (
        ("bytes at rest in storage", costs.input_bytes + demand.result_bytes, costs.input_bytes + costs.result_bytes),
        ("bytes to storage", costs.input_bytes + demand.result_bytes, costs.s3_sent_bytes_each),
        ("bytes from storage", float(costs.input_bytes), costs.s3_received_bytes_each),
        ("bytes in JetStream", demand.jetstream_bytes, costs.jetstream_bytes_each),
    ):
        yield Comparison(what=f"{name}: {what}", planned=planned_bytes, measured=measured_bytes, unit="bytes a job")
    for method, count in costs.s3_requests_each.items():
        yield Comparison(
            what=f"{name}: {method} requests", planned=demand.s3_requests[method], measured=count, unit="a job"
        )


def slowness(reference_ms: float) -> float:
    """Return how much longer everything takes now than when the costs were measured, by the job that is the same."""
    return reference_ms / load_costs().about.reference_cpu_ms


def planned(case: Case, picture_bytes: int) -> Demand:
    """Return the plan's demand for a case without clients that read."""
    workload = Workload(
        per_day=86400,
        picture_bytes=picture_bytes,
        megapixels=case.megapixels,
        kept_s=86400,
        width_px=case.width_px,
        reads=0,
        read_format=case.read,
        written_format=case.written,
    )
    return compute_demand(workload, load_costs())


def by_process(run: Run, costs: CaseCosts) -> Iterator[Comparison]:
    """Compare CPU time by process, to see where a difference comes from."""
    demand = planned(costs.case, costs.input_bytes)
    for name, cpu_ms in demand.cpu_ms.items():
        processes: Sequence[str] = PLATFORM if name == "platform" else RENDERERS if name == RENDER else (name,)
        yield Comparison(
            what=f"{costs.case.name}: CPU of {name}",
            planned=cpu_ms * slowness(run.reference_ms),
            measured=milliseconds(run, costs, processes),
            unit="ms a job",
        )


def table(compared: Sequence[Comparison]) -> str:
    lines = ["| what | planned | measured | planned / measured | |", "|---|---|---|---|---|"]
    for each in compared:
        mark = "" if each.holds else f"not within {WITHIN:.0%}"
        cells = (
            f"{each.what}, {each.unit}",
            f"{each.planned:,.1f}",
            f"{each.measured:,.1f}",
            f"{each.ratio:.2f}",
            mark,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(run: Run, compared: Sequence[Comparison]) -> str:
    lines = [
        f"- {each.what}: {each.planned:.1f} planned, {each.measured:.1f} measured, {each.unit}"
        for costs in run.cases
        for each in by_process(run, costs)
    ]
    speed = (
        f"The machine takes {slowness(run.reference_ms):.2f} times as long for one and the same job as when the costs "
        f"were measured ({run.reference_ms:.1f} ms of CPU time); what is planned takes that into account.\n"
    )
    return "\n".join([table(compared), speed, "By process, which is not judged:", "", *lines, ""])
