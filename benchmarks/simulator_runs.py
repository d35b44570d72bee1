"""Six real runs beside their simulation: instances per tick, p50 and p95.

    python -m benchmarks.simulator_runs [--only burst,spike] [--share 1.0] [--save]

The function sleeps as long as each event says, so its service time is known and takes no core: what is compared is the
Broker, the activator, the autoscaler and the starts. First the function is measured as `darkroom measure` does it. The
simulation knows nothing but what that measured, the manifests, when the events came and how long each sleeps. Six runs
follow, each from zero to zero: burst, ramp, spike, 30 % and 80 % of the capacity, and on and off at the window after
which instances are given back.

Each line says in how many of the ticks, half a second apart, the ready instances differ by at most one, and the
percentiles of the time from an event's acceptance to its end. Promised are 95 % of the ticks, and p50 and p95 within
15 % or 100 ms. `--save` writes the runs to tests/data/simulator, where a test compares them. About nine minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.measure import machine
from benchmarks.measure import sleeping_project as project
from benchmarks.measure.event_load import EventLoad, recording_of
from benchmarks.measure.recorded_runs import (
    ASLEEP_S,
    CONCURRENCY,
    MAX_ACK_PENDING,
    RUNS,
    SETTINGS,
    PlannedRun,
    write_recording,
)
from darkroom.cli.admin_client import AdminClient
from darkroom.cli.measure.measuring import measure
from darkroom.cli.measure.probing import Subject
from darkroom.cli.measure.senders import event_sender
from darkroom.cli.simulate.calibrating import Calibrated, calibrated
from darkroom.simulate.observed.measured import Measured
from darkroom.simulate.observed.recording import Recording
from tests.stack import ROOT, RunningStack, running_stack

DATA = ROOT / "tests/data/simulator"
RESULT = ROOT / "benchmarks/results/simulator.md"
SEEDS = range(1, 7)
MAX_INSTANCES = 32


def measured_of(stack: RunningStack, *, times: int = 40, starts: int = 4, at_once: Sequence[int] = (4, 8)) -> Measured:
    """Measure the function with events that sleep for the average time."""
    subject = Subject(service=project.SERVICE, trigger=project.TRIGGER, container_concurrency=CONCURRENCY)
    broker = f"{stack.addresses['broker']}/{project.NAMESPACE}/{project.BROKER}"
    with AdminClient(stack.addresses["admin"]) as admin, httpx.Client(trust_env=False, timeout=60) as http:
        send = event_sender(http, broker, project.EVENT_TYPE, {"seconds": sum(ASLEEP_S) / 2})
        return measure(admin, subject, send, times=times, starts=starts, at_once=at_once, tell=_tell)


def run(stack: RunningStack, planned: PlannedRun, measured: Measured, *, until_zero: bool = True) -> Recording:
    load = EventLoad(broker_url=stack.addresses["broker"], admin_url=stack.addresses["admin"])
    since = stack.now()
    began_at = asyncio.run(load.run(planned.arrivals_s, planned.service_s(), until_zero=until_zero))
    with AdminClient(stack.addresses["admin"]) as admin:
        recording = recording_of(admin, load, began_at, name=planned.name, since=since, about={})
    return replace(
        recording,
        scaling=dict(SETTINGS),
        container_concurrency=CONCURRENCY,
        service_s=measured.service_s,
        measured_starts=[(start.at_once, start.took_s) for start in measured.starts],
        machine="; ".join(machine.description()[:2]),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextmanager
def sleeping_stack(folder: Path, *, settings: dict[str, str], concurrency: int = CONCURRENCY) -> Iterator[RunningStack]:
    written = project.write_project(
        folder / "project", annotations=settings, concurrency=concurrency, max_ack_pending=MAX_ACK_PENDING
    )
    limit = ("--max-instances", str(MAX_INSTANCES))
    with running_stack(folder / "data", *limit, cwd=written, verbose=False) as stack:
        yield stack


def report(results: Sequence[tuple[Recording, Calibrated]]) -> str:
    lines = [
        "| run | requests | ticks within 1 | worst seed | p50 real, simulated | p95 real, simulated | starts | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for recording, found in results:
        lines.append(
            f"| {recording.name} | {len(recording.arrivals_s)} | {found.ticks_within:.1%} | {found.worst_ticks:.1%} "
            f"| {found.shown(50)} | {found.shown(95)} | {found.starts[0]}, {found.starts[1]:g} "
            f"| {'yes' if found.is_within else 'NO'} |"
        )
    return "\n".join(lines) + "\n"


def _tell(text: str) -> None:
    print(f"  {text}", flush=True)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(RUNS), help="names of runs, separated by commas")
    parser.add_argument("--share", type=float, default=1.0, help="of each run, from its beginning")
    parser.add_argument("--save", action="store_true", help="write the recordings and the table")
    return parser.parse_args()


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    planned = [RUNS[name].shortened(options.share) for name in options.only.split(",")]
    results = []
    with tempfile.TemporaryDirectory() as name, sleeping_stack(Path(name), settings=dict(SETTINGS)) as stack:
        measured = measured_of(stack)
        for one in planned:
            began = time.monotonic()
            recording = run(stack, one, measured)
            found = calibrated(Path(name) / "project", recording, SEEDS)
            print(f"{one.name}: {time.monotonic() - began:.0f} s; {found.line()}", flush=True)
            results.append((recording, found))
            if options.save:
                write_recording(recording, DATA)
    command = " ".join(["python -m benchmarks.simulator_runs", *sys.argv[1:]])
    table = report(results)
    text = "\n".join(
        ["# The simulator beside real runs", "", *(f"- {line}" for line in [*head, f"`{command}`"]), "", table]
    )
    print(f"\n{text}")
    if options.save:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
