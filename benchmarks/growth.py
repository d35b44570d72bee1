"""The pipeline as jobs pile up: throughput, memory of every process, and Redis' memory per job.

    python -m benchmarks.growth [--jobs 1000,10000] [--stretch 1000] [--in-flight 32] [--save]
    python -m benchmarks.growth --jobs 300,600 --stretch 200 --megapixels 1.2 --width 320

One stack processes jobs, and is measured at each of these counts; records are kept for days, so all of them stay.
Throughput is that of the last `stretch` jobs before a count. The pictures are real and as small as possible, since the
rendering cannot grow. 100,000 jobs take most of an hour on two cores. With `--megapixels` they are photographs of that
size, and what `darkroom plan` computes for them is compared with what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.cost_cases import Case
from benchmarks.cost_check import Comparison, planned, table
from benchmarks.measure import machine, pods
from benchmarks.measure.clients import Endings, Http, Pipeline
from benchmarks.measure.closed_loop import ClosedLoop, Measured
from benchmarks.pipeline import RESULTS, family_of
from darkroom.imaging.photograph import photograph
from darkroom.planning.costs import RENDER
from tests.stack import RunningStack, running_stack

PICTURE_PX = 64
TARGET_PX = 32
WARM_UP_JOBS = 300
RESIDENT = "memory is resident memory added up over processes: pages that forked processes share count once for each"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    jobs: int
    stretch: Measured
    resident_bytes: dict[str, int]
    redis_bytes_per_job: float
    pod_bytes: Mapping[str, int]
    """Of the largest instance, by function."""
    stored_bytes: dict[str, int]
    """On disk, by server."""


async def grow(stack: RunningStack, counts: Sequence[int], options: argparse.Namespace) -> list[Snapshot]:
    families, redis = [family_of(stack)], Redis.from_url(stack.addresses["redis"])
    case = _case(options)
    parameters = {"width": TARGET_PX, "height": TARGET_PX} if case is None else case.parameters
    snapshots: list[Snapshot] = []
    async with Http(connections=options.in_flight + 8) as http, Endings(stack.addresses["redis"]) as endings:
        pipeline = Pipeline(stack.addresses["api"], http, endings, parameters)
        picture = _picture() if case is None else case.picture()
        content_type = "image/png" if case is None else case.content_type
        loop = ClosedLoop(pipeline.uploading(picture, content_type), in_flight=options.in_flight)
        empty_bytes = _used_bytes(redis)
        await loop.run(min(WARM_UP_JOBS, counts[0] - options.stretch), families)
        for count in counts:
            if (before_stretch := count - options.stretch - loop.done) > 0:
                await loop.run(before_stretch, families)
            stretch = await loop.run(count - loop.done, families)
            snapshots.append(
                Snapshot(
                    jobs=loop.done,
                    stretch=stretch,
                    resident_bytes=families[0].resident_bytes(),
                    redis_bytes_per_job=(_used_bytes(redis) - empty_bytes) / loop.done,
                    pod_bytes=pods.bytes_per_pod(families[0]),
                    stored_bytes={name: _size(stack.data / name) for name in ("nats", "redis", "s3")},
                )
            )
            print(_line(snapshots[-1]), flush=True)
    redis.close()
    return snapshots


def _case(options: argparse.Namespace) -> Case | None:
    return None if options.megapixels is None else Case(megapixels=options.megapixels, width_px=options.width, jobs=0)


def _picture() -> bytes:
    return bytes(photograph(PICTURE_PX, PICTURE_PX).pngsave_buffer())


def _used_bytes(redis: Redis) -> int:
    memory = redis.info("memory")
    if not isinstance(memory, dict):
        raise TypeError(f"INFO answered {memory!r}")
    return int(memory["used_memory"])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# --- reporting -------------------------------------------------------------------------------------------------------


def _line(snapshot: Snapshot) -> str:
    stretch = snapshot.stretch
    others = stretch.others_s / stretch.seconds
    return f"{snapshot.jobs} jobs: {stretch.per_s:.1f}/s, others took {others:.2f} cores"


def report(snapshots: Sequence[Snapshot]) -> str:
    first = snapshots[0].stretch
    lines = [
        "| | " + " | ".join(f"{snapshot.jobs:,} jobs" for snapshot in snapshots) + " |",
        "|---|" + "---|" * len(snapshots),
    ]

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    row("jobs per second", [f"{snapshot.stretch.per_s:.1f}" for snapshot in snapshots])
    row("of the first", [f"{snapshot.stretch.per_s / first.per_s:.2f}" for snapshot in snapshots])
    row("CPU ms per job, all processes", [f"{snapshot.stretch.total_ms_each:.1f}" for snapshot in snapshots])
    row("of the first", [f"{snapshot.stretch.total_ms_each / first.total_ms_each:.2f}" for snapshot in snapshots])
    row(
        "cores that others took meanwhile",
        [f"{snapshot.stretch.others_s / snapshot.stretch.seconds:.2f}" for snapshot in snapshots],
    )
    row("Redis bytes per job", [f"{snapshot.redis_bytes_per_job:,.0f}" for snapshot in snapshots])
    for name in sorted({name for snapshot in snapshots for name in snapshot.resident_bytes}):
        row(f"{name}, MB resident", [f"{snapshot.resident_bytes.get(name, 0) / 1e6:.0f}" for snapshot in snapshots])
    for name in snapshots[0].stored_bytes:
        row(f"{name}, MB on disk", [f"{snapshot.stored_bytes[name] / 1e6:.0f}" for snapshot in snapshots])
    return "\n".join(lines) + "\n"


def compare_with_plan(case: Case, snapshots: Sequence[Snapshot]) -> str:
    """Return the plan's figures for such jobs beside the measured ones, and planned / measured."""
    last, demand = snapshots[-1], planned(case, len(case.picture()))
    standing_ms = sum(demand.standing_cores.values()) * last.stretch.seconds * 1000 / last.stretch.count
    compared = [
        Comparison(
            what="CPU",
            planned=demand.cpu_ms_per_job + standing_ms,
            measured=last.stretch.total_ms_each,
            unit="ms per job, all processes",
        ),
        Comparison(
            what="Redis", planned=demand.finished_bytes, measured=last.redis_bytes_per_job, unit="bytes per job"
        ),
        Comparison(
            what="memory of the largest pod of resize",
            planned=demand.pod_bytes[RENDER],
            measured=last.pod_bytes[RENDER],
            unit="bytes",
        ),
        Comparison(
            what="storage at rest",
            planned=len(case.picture()) + demand.result_bytes,
            measured=last.stored_bytes["s3"] / last.jobs,
            unit="bytes per job",
        ),
    ]
    return table(compared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="1000,10000")
    parser.add_argument("--stretch", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--megapixels", type=float, help="of a JPEG, instead of the smallest pictures")
    parser.add_argument("--width", type=int, default=320, help="of its result")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    options = parser.parse_args()
    counts, head = sorted(int(count) for count in options.jobs.split(",")), machine.description()
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack", verbose=False) as stack:
        snapshots = asyncio.run(grow(stack, counts, options))
    command = " ".join(["python -m benchmarks.growth", *sys.argv[1:]])
    text = (
        "# As jobs pile up\n\n"
        + "\n".join(f"- {line}" for line in [*head, f"`{command}`", RESIDENT])
        + f"\n\n{report(snapshots)}"
    )
    if (case := _case(options)) is not None:
        text += f"\nWhat `darkroom plan` computes for {case.name}:\n\n{compare_with_plan(case, snapshots)}"
    print(text)
    if options.save:
        (RESULTS / "growth.md").write_text(text)


if __name__ == "__main__":
    main()
