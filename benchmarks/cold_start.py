"""Measures a job from the POST to its completion with the function at zero: the median of several runs, by step.

    python -m benchmarks.cold_start [--runs 10] [--no-fork-server]

Functions are forked from a process that has loaded their libraries; with --no-fork-server each is a new interpreter, as
on a cluster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from darkroom.imaging.photograph import make_photograph
from darkroom.local.children import guard
from tests.stack import RunningStack, eventually, running_stack

BARE_SPAWNS = 5

STEPS = {
    "accepted": "POST to the written job: upload, header, store, record",
    "to the spawn": "event into JetStream, out to the dispatcher, to the activator, to the scaler",
    "spawn": "a bare interpreter through the guard, measured before the runs and taken off what follows",
    "imports": "the fork, or functions-framework's and our modules; gunicorn, its port",
    "first byte": "the request into a forked worker, to the claim",
    "job": "fetch, render and store, with the libraries' first use",
    "notified": "completion to the waiting client",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--no-fork-server", action="store_true")
    arguments = parser.parse_args()
    options = ["--window", "6s", *(["--no-fork-server"] if arguments.no_fork_server else [])]
    picture = make_photograph(1600, 1200)
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder), *options) as stack:
        spawn_s = _bare_spawn_s() if arguments.no_fork_server else 0.0
        runs = [_run(stack, picture, number, arguments.runs, spawn_s) for number in range(1, arguments.runs + 1)]
    print(f"\nmedian of {len(runs)} cold starts, 2 megapixel JPEG to 400 px, milliseconds:")
    for step, meaning in STEPS.items():
        print(f"  {step:<20}{statistics.median(run[step] for run in runs):>6.0f}   {meaning}")
    totals = [run["total"] for run in runs]
    print(f"  {'in all':<20}{statistics.median(totals):>6.0f}   from {min(totals):.0f} to {max(totals):.0f}")


def _run(stack: RunningStack, picture: bytes, number: int, runs: int, spawn_s: float) -> dict[str, float]:
    eventually(lambda: not _has_processes(stack), within_s=60, what="resize at zero")
    seen = stack.now()
    posted = time.time()
    job = stack.job(stack.submit("resize", picture, width=400), wait_s=30)
    done = time.time()
    if job["status"] != "completed":
        raise SystemExit(f"the job did not complete: {job}")
    [ready] = [event for event in stack.events(since=seen, action="instance.ready") if event["service"] == "resize"]
    split = _split(job, ready, posted, done, spawn_s)
    print(
        f"{number}/{runs}: " + ", ".join(f"{step} {ms:.0f}" for step, ms in split.items()) + f"   {job['timings_ms']}"
    )
    return split


def _bare_spawn_s() -> float:
    """Return the median time of an interpreter that is started as functions are, and imports nothing."""
    command = [sys.executable, "-P", guard.__file__, str(os.getpid()), "python", "__future__"]
    took_s = []
    for _ in range(BARE_SPAWNS):
        started = time.monotonic()
        subprocess.run(command, check=True)
        took_s.append(time.monotonic() - started)
    return statistics.median(took_s)


def _split(job: dict[str, Any], ready: dict[str, Any], posted: float, done: float, spawn_s: float) -> dict[str, float]:
    """Return the milliseconds of each step; all clocks are the same machine's."""
    created, started, finished = (
        datetime.fromisoformat(job[f"{name}_at"]).timestamp() for name in ("created", "started", "finished")
    )
    spawned = ready["at"] - ready["ready_s"]
    seconds = {
        "accepted": created - posted,
        "to the spawn": spawned - created,
        "spawn": spawn_s,
        "imports": ready["ready_s"] - spawn_s,
        "first byte": started - ready["at"],
        "job": finished - started,
        "notified": done - finished,
        "total": done - posted,
    }
    return {step: value * 1000 for step, value in seconds.items()}


def _has_processes(stack: RunningStack) -> bool:
    return bool(stack.function("resize")["pids"])


if __name__ == "__main__":
    main()
