"""A plan in words: sections of rows, a name and a value each. How they are laid out is up to the caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darkroom.planning import postgres
from darkroom.planning.plan import Plan
from darkroom.planning.sizing import FunctionSize
from darkroom.planning.wording import format_bytes, format_number
from darkroom.planning.workload import DAY_S, REDIS

Row = tuple[str, str]
HOUR_S, YEAR_DAYS = 3600, 365


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    rows: Sequence[Row]


def describe(plan: Plan) -> list[Section]:
    """Return the sections of what is needed; `findings` are apart."""
    sections = {
        "load": _load(plan),
        "CPU": _cpu(plan),
        "pods": _pods(plan),
        "Broker": _broker(plan),
        "job store": _job_store(plan) if plan.workload.store == REDIS else _postgres(plan),
        "JetStream": _jetstream(plan),
        "storage": _storage(plan),
        "network": _network(plan),
        f"a month ({plan.bill.label})": _bill(plan),
    }
    return [Section(title=title, rows=list(rows)) for title, rows in sections.items()]


def _load(plan: Plan) -> Iterator[Row]:
    workload = plan.workload
    yield (
        "jobs",
        (
            f"{workload.per_day:,} a day, {format_number(workload.per_s)}/s on average, "
            f"{format_number(workload.peak_per_s)}/s at the peak"
        ),
    )
    yield (
        "pictures",
        (
            f"{workload.read_format} of {format_number(workload.megapixels)} megapixels, "
            f"{format_bytes(workload.picture_bytes)}, cost class {workload.cost_class}"
        ),
    )
    yield "results", f"{workload.written_format} {workload.width_px} px wide, {format_bytes(plan.demand.result_bytes)}"


def _cpu(plan: Plan) -> Iterator[Row]:
    demand = plan.demand
    yield (
        "all",
        (
            f"{_cores(demand.mean_cores)} on average, {_cores(demand.peak_cores)} at the peak, "
            f"{format_number(demand.cpu_ms_per_job)} ms a job"
        ),
    )
    for process in sorted(demand.cpu_ms, key=lambda name: -demand.cpu_ms[name]):
        mean, peak = demand.cores(process), demand.cores_at_peak(process)
        yield process, f"{format_number(mean)}, {format_number(peak)} at the peak"


def _pods(plan: Plan) -> Iterator[Row]:
    for function in plan.sizing.functions:
        yield function.name, _pods_of(function)
    for name, scale in plan.sizing.lowest_max_scales.items():
        shape = plan.deployment.functions.get(name)
        if shape is not None and shape.max_scale < scale:
            yield name, f"max-scale at least {scale}, since it shares the Broker's maxAckPending; {shape.max_scale} now"


def _pods_of(function: FunctionSize) -> str:
    concurrency = f"containerConcurrency {function.container_concurrency or '0 (by CPU)'}"
    memory = f", {format_bytes(function.pod_bytes)} each" if function.pod_bytes else ""
    return f"{function.pods_on_average} on average, max-scale {function.max_scale}, {concurrency}{memory}"


def _broker(plan: Plan) -> Iterator[Row]:
    yield "maxAckPending", str(plan.sizing.max_ack_pending)
    yield "BROKER_WINDOW", f"{plan.sizing.broker_window}, the same: `darkroom check` compares them"


def _job_store(plan: Plan) -> Iterator[Row]:
    demand, workload = plan.demand, plan.workload
    yield (
        "finished records",
        (
            f"{format_number(demand.finished_records)} of {format_number(demand.finished_bytes)} bytes, "
            f"kept {format_number(workload.kept_s / DAY_S)} days"
        ),
    )
    yield (
        "unfinished records",
        (
            f"{format_number(demand.unfinished_records)} of "
            f"{format_number(demand.unfinished_bytes)} bytes, if nothing is rendered for "
            f"{format_number(workload.backlog_s / HOUR_S)} h at the peak"
        ),
    )
    yield "Redis maxmemory", f"{format_bytes(demand.redis_maxmemory_bytes)} at least"


def _postgres(plan: Plan) -> Iterator[Row]:
    demand, workload = plan.demand, plan.workload
    yield (
        "finished records",
        (
            f"{format_number(postgres.finished_records(demand))} of {format_number(postgres.FINISHED_BYTES)} bytes, "
            f"kept {format_number(workload.kept_s / DAY_S)} days, and until the end of their last one's day"
        ),
    )
    yield (
        "unfinished records",
        f"{format_number(demand.unfinished_records)} of {format_number(postgres.UNFINISHED_BYTES)} bytes",
    )
    yield "PostgreSQL disk", f"{format_bytes(postgres.disk_bytes(demand))} at least for each copy"
    yield "write-ahead log", f"{format_bytes(postgres.LOG_BYTES)} on a volume of its own"
    yield "PostgreSQL CPU", "not in `all`: the costs were measured with Redis (benchmarks/stores.py compares the two)"


def _jetstream(plan: Plan) -> Iterator[Row]:
    demand = plan.demand
    yield (
        "writes",
        (
            f"{format_number(demand.jetstream_writes_per_day)} a day, "
            f"{format_number(plan.workload.peak_per_s * demand.jetstream_writes)}/s at the peak, times replicas"
        ),
    )
    yield "bytes", f"{format_bytes(demand.jetstream_bytes_per_day)} a day; a stream keeps what is not done yet"


def _storage(plan: Plan) -> Iterator[Row]:
    demand = plan.demand
    for method in sorted(demand.s3_requests):
        yield (
            method,
            (
                f"{format_number(demand.s3_requests_per_day(method))} a day, "
                f"{format_number(demand.s3_requests[method] * plan.workload.peak_per_s)}/s at the peak"
            ),
        )
    yield "written", f"{format_bytes(demand.s3_bytes_in_per_day)} a day"
    yield "read", f"{format_bytes(demand.s3_bytes_out_per_day)} a day"
    yield (
        "at rest",
        (
            f"{format_bytes(demand.stored_bytes)}: originals {format_bytes(demand.originals_bytes)} "
            f"({format_number(plan.workload.originals_kept_s / DAY_S)} days), "
            f"results {format_bytes(demand.results_bytes)}"
        ),
    )
    yearly = plan.workload.per_day * demand.result_bytes * YEAR_DAYS
    yield "RESULT_RETENTION off", f"results are kept for ever: {format_bytes(yearly)} more a year"


def _network(plan: Plan) -> Iterator[Row]:
    demand = plan.demand
    yield "from clients", f"{format_bytes(demand.uploaded_bytes_per_day)} a day"
    yield "to clients", f"{format_bytes(demand.downloaded_bytes_per_day)} a day"
    yield "at storage", f"{format_number(demand.peak_bits_per_s / 1e6)} Mbit/s at the peak"


def _bill(plan: Plan) -> Iterator[Row]:
    for item, amount in plan.bill.items.items():
        yield item, f"{amount:,.2f} {plan.bill.currency}"
    per_thousand = plan.bill.total / (plan.workload.per_day * 30) * 1000
    yield "all", f"{plan.bill.total:,.2f} {plan.bill.currency}, {per_thousand:.4f} per 1,000 jobs"


def findings(plan: Plan) -> list[str]:
    """Return a sentence for each part that is too small, the smallest in proportion first."""
    too_small = [part for part in plan.parts if part.use > 1]
    sentences = []
    for part in too_small:
        enough = ""
        if part.grows_with_load:
            enough = f" (enough for {format_number(part.largest_per_day(plan.workload.per_day))} jobs a day)"
        sentences.append(f"{part.name} is too small by {format_number(part.use)}x: {part.sentence}{enough}.")
    if plan.parts and not too_small:
        part = plan.parts[0]
        sentences.append(f"Nothing is too small. The first to be is {part.name}, {part.use:.0%} used: {part.sentence}.")
    sentences.extend(_cell_sentences(plan))
    return sentences


def _cell_sentences(plan: Plan) -> Iterator[str]:
    cells = plan.cells
    if cells.count > 1:
        yield f"One installation is not enough: {cells.decided_by} wants {cells.count} cells (docs/scale.md)."
        if not cells.keys_are_enough:
            yield (
                f"{cells.count} cells need at least as many keys, and there are {cells.keys}: a key's jobs are in one "
                "cell, so the largest keys must be divided."
            )


def _cores(cores: float) -> str:
    return f"{format_number(cores)} cores"
