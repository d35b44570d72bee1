"""A backfill of a whole library beside live jobs: is each picture done once although the command is killed, and what do
the live jobs notice?

    python -m benchmarks.backfill [--pictures 20000] [--kills 3] [--rate 200/s] [--at-once 8] [--live-per-s 2]
                                  [--idle-s 60] [--save]

One stack with two keys. The live key submits small pictures at a steady rate all the time, as resize and as renditions
in turn, so that half of them share the backfill's lane. First alone, for `--idle-s`; then beside the backfill, which is
killed with SIGKILL at even shares of its way, and resumed. A live job's time is from its submission to its end, as its
client sees it.

Targets: each picture is one job with one result; the live jobs' p99 beside the backfill is within twice that when idle.

20,000 pictures take about half an hour on two cores; `--pictures 300 --idle-s 15` about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.keyed_stack import keyed_stack
from benchmarks.measure.small_picture import WIDTH_PX, small_picture
from benchmarks.pipeline import RESULTS
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.storage import Storage
from darkroom.cli.backfill.command import AT_ONCE
from darkroom.client import Client
from darkroom.contract import metrics
from darkroom.contract.job_types import BACKGROUND
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from tests.stack import ROOT

SETTINGS = {"RATE_LIMIT": "off", "RATE_LIMIT_READS": "off", "INPUT_PREFIXES": "library/"}
PRESETS = f"thumb: {{type: resize, parameters: {{width: {WIDTH_PX}}}}}\n"
OF_THE_IDLE = 2.0
WARM_UP_JOBS = 10
UPLOADERS = 16
LOOKS_EVERY_S = 2.0


@dataclass
class LiveJobs:
    """Jobs of another key at a steady rate, each from a thread of its own, so that a slow one delays none."""

    client: Client
    per_s: float
    times_s: list[float] = field(default_factory=list)
    picture: bytes = field(default_factory=small_picture)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(32) as jobs:
            starter = threading.Thread(target=self._start_all, args=(jobs,))
            starter.start()
            try:
                yield
            finally:
                self._stopping.set()
                starter.join()

    def one(self, number: int) -> None:
        began = time.monotonic()
        if number % 2:
            self.client.renditions(self.picture, presets=["thumb"]).wait()
        else:
            self.client.submit(self.picture, "resize", width=WIDTH_PX).wait()
        self.times_s.append(time.monotonic() - began)

    def _start_all(self, jobs: ThreadPoolExecutor) -> None:
        began, number = time.monotonic(), 0
        while not self._stopping.wait(max(0.0, began + number / self.per_s - time.monotonic())):
            jobs.submit(self.one, number)
            number += 1


@dataclass(frozen=True, kw_only=True)
class Figures:
    pictures: int
    kills: int
    took_s: float
    jobs: int
    """Of the backfill's key."""
    results: int
    """Of those jobs, in storage."""
    report: dict[str, Any]
    idle_s: Sequence[float]
    beside_s: Sequence[float]
    cpu_s: Mapping[str, float]
    """Of the stack while the backfill ran, with the live jobs."""

    @property
    def is_once(self) -> bool:
        return {self.jobs, self.results, int(self.report["made"])} == {self.pictures}


def percentile(times_s: Sequence[float], share: float) -> float:
    return sorted(times_s)[min(len(times_s) - 1, int(len(times_s) * share))]


def measure(folder: Path, options: argparse.Namespace) -> Figures:
    presets = folder / "presets.yaml"
    presets.write_text(PRESETS)
    with ExitStack() as opened:
        keyed = opened.enter_context(keyed_stack(folder, "--presets", str(presets), keys=2, settings=SETTINGS))
        address = keyed.stack.addresses["api"]
        live, own = (opened.enter_context(Client(address, api_key=key)) for key in keyed.keys)
        storage, jobs = _storage(folder), opened.enter_context(closing(RedisJobStore(keyed.stack.addresses["redis"])))
        _fill(storage, options.pictures)
        idle = _alone(live, options)
        beside = LiveJobs(live, options.live_per_s)
        if keyed.stack.process is None:
            raise RuntimeError("the stack does not run")
        family = Family(pid=keyed.stack.process.pid, name="runtime")
        spent = family.spent()
        began = time.monotonic()
        with beside.running():
            report = _backfill(folder, keyed.keys[1], partial(_done, jobs), options)
            took_s = time.monotonic() - began
        spent = family.spent().since(spent)
        ids = {job.job_id for job in own.jobs()}
        results = sum(key.split("/")[1] in ids for key in _keys(storage))
    return Figures(
        pictures=options.pictures,
        kills=options.kills,
        took_s=took_s,
        jobs=len(ids),
        results=results,
        report=report,
        idle_s=idle.times_s,
        beside_s=beside.times_s,
        cpu_s=spent.by_name,
    )


def _storage(folder: Path) -> Storage:
    environment = json.loads((folder / "data/settings.json").read_text())
    return Resources(Settings.load(needs=frozenset({"BUCKET_NAME"}), environment=environment)).storage


def _fill(storage: Storage, pictures: int) -> None:
    picture = small_picture()

    def put(number: int) -> None:
        storage.put(f"library/{number % 100:02}/{number:06}.png", picture, content_type="image/png")

    with ThreadPoolExecutor(UPLOADERS) as uploaders:
        list(uploaders.map(put, range(pictures)))


def _alone(client: Client, options: argparse.Namespace) -> LiveJobs:
    warming_up = LiveJobs(client, options.live_per_s)
    for number in range(WARM_UP_JOBS):
        warming_up.one(number)
    alone = LiveJobs(client, options.live_per_s)
    with alone.running():
        time.sleep(options.idle_s)
    return alone


def _backfill(folder: Path, key: str, done: Callable[[], int], options: argparse.Namespace) -> dict[str, Any]:
    """Run the command to its end, killed on its way, and return its report."""
    command = [sys.executable, "-m", "darkroom.cli", "backfill", "--json", "--data", str(folder / "data")]
    command += ["--state", str(folder / "state"), "--rate", options.rate, "--at-once", str(options.at_once)]
    environment = {**os.environ, "DARKROOM_API_KEY": key}
    resume: list[str] = []
    for number in range(options.kills):
        before, enough = done(), options.pictures // (options.kills + 1)
        with subprocess.Popen([*command, *resume], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
            while done() - before < enough:
                if process.poll() is not None:
                    raise RuntimeError(f"the backfill ended by itself, with {process.returncode}")
                time.sleep(LOOKS_EVERY_S)
            process.kill()
        print(f"killed for the {number + 1}. time", flush=True)
        resume = ["--resume"]
    ended = subprocess.run([*command, *resume], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def _done(jobs: RedisJobStore) -> int:
    """Return how many jobs in the background have ended: to list their results every few seconds would be a load."""
    ended = jobs.statistics()[metrics.JOBS_ENDED].items()
    return sum(int(str(count)) for labels, count in ended if BACKGROUND in labels)


def _keys(storage: Storage) -> Iterator[str]:
    """Yield the keys of renditions: those of single jobs have no folder."""
    for page in storage.pages("processed/"):
        yield from (one.key for one in page if one.key.count("/") == 2)


# --- reporting -------------------------------------------------------------------------------------------------------


def report(figures: Figures) -> str:
    lines = ["| live jobs | number | p50 ms | p99 ms |", "|---|---|---|---|"]
    for title, times_s in (("alone", figures.idle_s), ("beside the backfill", figures.beside_s)):
        p50, p99 = (percentile(times_s, share) * 1000 for share in (0.5, 0.99))
        lines.append(f"| {title} | {len(times_s)} | {p50:.0f} | {p99:.0f} |")
    ratio = percentile(figures.beside_s, 0.99) / percentile(figures.idle_s, 0.99)
    once = "yes" if figures.is_once else "NO"
    return "\n".join(
        [
            *lines,
            "",
            f"- p99 beside / alone: {ratio:.2f}, at most {OF_THE_IDLE:g}",
            f"- {figures.pictures:,} pictures in {figures.took_s:.0f} s, {figures.pictures / figures.took_s:.1f}/s, "
            f"killed {figures.kills} times",
            f"- CPU time per picture, live jobs included: {_cpu(figures)}",
            f"- each done exactly once: {once} ({figures.jobs:,} jobs, {figures.results:,} results, "
            f"{figures.report['made']:,} made by the report, {figures.report['failed']:,} failed)",
            "",
        ]
    )


def _cpu(figures: Figures) -> str:
    """Return the milliseconds per picture, in all and by process: what two cores could do at most follows from it."""
    each = {name: 1000 * seconds / figures.pictures for name, seconds in figures.cpu_s.items()}
    dear = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(each.items(), key=lambda one: -one[1]) if ms >= 0.5)
    return f"{sum(each.values()):.1f} ms ({dear})"


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rate", default="200/s", help="of the backfill")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="of the backfill")
    parser.add_argument("--live-per-s", type=float, default=2.0)
    parser.add_argument("--idle-s", type=float, default=60.0, help="how long live jobs are measured alone")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    return parser.parse_args()


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(Path(name), options)
    command = " ".join(["python -m benchmarks.backfill", *sys.argv[1:]])
    text = "\n".join(["# Backfill", "", *(f"- {line}" for line in [*head, f"`{command}`"]), "", report(figures)])
    print(f"\n{text}")
    if options.save:
        (RESULTS / "backfill.md").write_text(text)
    sys.exit(not figures.is_once)


if __name__ == "__main__":
    main()
