"""The console beside a working pipeline: how long its list of jobs takes, and what it costs open in three browsers.

    python -m benchmarks.console [--jobs 100000] [--requests 40] [--load 400] [--rounds 3] [--save]

- The list: that many jobs are made by the job store's own transitions, of five keys, most completed and some failed.
  Then each kind of search is asked for through the admin address, one request after the other. Goal: p95 under 200 ms.
- The cost: rounds of a load with nobody looking, and with three real browsers on the overview, the list of jobs and the
  Why page, in turns. The console's process is measured by itself; what it costs the job store, `status` and the runtime
  is the difference per job between the two kinds of rounds. Goal: console, store and status under 2 % of all CPU time.

100,000 jobs take about two minutes to make; `--jobs 500 --requests 3 --load 20 --rounds 1` is quick.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from redis import Redis

from benchmarks.measure import machine
from benchmarks.measure.clients import Endings, Http, Pipeline
from benchmarks.measure.closed_loop import ClosedLoop, Measured
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.small_picture import WIDTH_PX, small_picture
from benchmarks.pipeline import RESULTS, family_of
from darkroom.adapters.jobs import NewJob
from darkroom.adapters.jobs.attempt_errors import crash_error
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.redis_scripts import compact, error_text, script
from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.jobs import JobResult
from tests.stack import RunningStack, running_stack

if TYPE_CHECKING:
    from playwright.async_api import Page

LIST_GOAL_MS = 200.0
SHARE_GOAL_PERCENT = 2.0
KEYS = ("", "shop", "press", "archive", "partner")
FAILED_EVERY = 50
FIRST_FENCE = 1
"""Of a job's first claim."""
BATCH = 200
"""Small, so that no sweep finds one overdue before it is claimed here."""
IN_FLIGHT = 8
OPEN_PAGES = ("/console/", "/console/jobs", "/console/why")
OF_THE_CONSOLE = ("console", "redis", "status")
_CHROMIUM = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


# --- the list --------------------------------------------------------------------------------------------------------


def make_jobs(url: str, count: int) -> list[UUID]:
    """Make ended jobs as the pipeline would: accepted, claimed, completed or failed, by the store's own scripts.

    The claims and ends of a batch go in one round trip: one each would take the most of the time that this takes.
    """
    made: list[UUID] = []
    with closing(RedisJobStore(url)) as store, closing(Redis.from_url(url)) as client:
        for name in ("claim", "complete", "fail"):
            client.script_load(script(name).text)
        for begin in range(0, count, BATCH):
            batch = [_new_job(number) for number in range(begin, min(begin + BATCH, count))]
            store.accept_many(batch)
            _end(client, store._rules, [job.job_id for job in batch], begin)
            made += [job.job_id for job in batch]
    return made


def _end(client: Redis, rules: str, job_ids: Sequence[UUID], begin: int) -> None:
    pipeline: Any = client.pipeline(transaction=False)

    def run(name: str, *arguments: object) -> None:
        pipeline.execute_command("EVALSHA", script(name).sha1, 0, rules, *arguments)

    failure = error_text(ImageCorruptError("its last rows are missing"))
    for number, job_id in enumerate(job_ids, begin):
        run("claim", str(job_id), "benchmark:1:1", uuid.uuid4().hex[:16], error_text(crash_error()))
        if number % FAILED_EVERY == 0:
            run("fail", str(job_id), FIRST_FENCE, failure)
        else:
            timings = compact({"fetch": 5, "render": 61, "store": 7})
            run("complete", str(job_id), FIRST_FENCE, _result(job_id).model_dump_json(), timings)
    ends = pipeline.execute()[1::2]
    if any(code != b"done" for code, *_ in ends):
        raise RuntimeError(f"not all of a batch could be ended: {[end[0] for end in ends]}")


def _result(job_id: UUID) -> JobResult:
    key = f"processed/{job_id}.jpg"
    return JobResult(storage_key=key, content_type="image/jpeg", width=400, height=300, bytes=27272)


def _new_job(number: int) -> NewJob:
    job_id = uuid.uuid4()
    return NewJob(
        job_id=job_id,
        type="crop" if number % 7 == 0 else "resize",
        owner=KEYS[number % len(KEYS)],
        parameters={"width": 400, "height": 300},
        storage_key=f"uploads/{job_id}/original.jpg",
        request_id=str(uuid.uuid4()),
        fingerprint=uuid.uuid4().hex,
    )


def searches(jobs: Sequence[UUID]) -> Mapping[str, Mapping[str, str]]:
    """Return what is asked for, by its name: what an index answers, and what is walked."""
    some = random.Random(1).choice(jobs)
    return {
        "the newest": {},
        "a whole id": {"id": str(some)},
        "the beginning of an id": {"id": str(some)[:8]},
        "a beginning that no id has": {"id": "00000000000"},
        "failed": {"status": "failed"},
        "queued": {"status": "queued"},
        "an error code": {"error": "image.corrupt"},
        "an error code that no job has": {"error": "job.timeout"},
        "a key": {"key": "shop"},
        "a type of a key": {"key": "press", "type": "crop"},
        "older than a second": {"older": "1s"},
    }


def ask(stack: RunningStack, query: Mapping[str, str], times: int) -> list[float]:
    """Return how many milliseconds each request took."""
    taken = []
    with httpx.Client(base_url=stack.addresses["admin"], timeout=60, trust_env=False) as http:
        for _ in range(times):
            began = time.perf_counter()
            http.get("/console/jobs", params=dict(query)).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def measure_list(stack: RunningStack, count: int, times: int) -> Mapping[str, list[float]]:
    jobs = make_jobs(stack.addresses["redis"], count)
    ask(stack, {}, 3)  # starts the console, and loads what its first page needs
    return {name: ask(stack, query, times) for name, query in searches(jobs).items()}


def list_report(taken: Mapping[str, Sequence[float]], count: int) -> str:
    lines = [f"The list of {count:,} jobs, in ms", "", "| search | p50 | p95 | longest |", "|---|---|---|---|"]
    lines += [f"| {name} | {median(each):.0f} | {p95(each):.0f} | {max(each):.0f} |" for name, each in taken.items()]
    worst = max(p95(each) for each in taken.values())
    reached = "reached" if worst < LIST_GOAL_MS else "not reached"
    return "\n".join([*lines, "", f"{reached}: p95 is {worst:.0f} ms at most, the goal is {LIST_GOAL_MS:g} ms"])


# --- the cost --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cost:
    alone: Sequence[Measured]
    open: Sequence[Measured]

    def ms_per_job(self, name: str, rounds: Sequence[Measured]) -> float:
        return median(one.milliseconds_each(name) for one in rounds)

    def added_ms(self, name: str) -> float:
        """Return what the open console adds per job; noise may make it negative."""
        return self.ms_per_job(name, self.open) - self.ms_per_job(name, self.alone)

    @property
    def share_percent(self) -> float:
        total = median(one.total_ms_each for one in self.open)
        return 100 * sum(max(0.0, self.added_ms(name)) for name in OF_THE_CONSOLE) / total


@asynccontextmanager
async def browsers(stack: RunningStack, home: Path) -> AsyncIterator[list[Page]]:
    """Open the console in three real browsers."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        opened, pages = [], []
        try:
            for number, path in enumerate(OPEN_PAGES):
                environment: dict[str, str | float | bool] = {"HOME": str(home / str(number))}
                browser = await playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=list(_CHROMIUM), env=environment
                )
                opened.append(browser)
                pages.append(await browser.new_page())
                await pages[-1].goto(f"{stack.addresses['admin']}{path}")
            yield pages
        finally:
            for browser in opened:
                await browser.close()


async def measure_cost(stack: RunningStack, options: argparse.Namespace, home: Path) -> Cost:
    families: list[Family] = [family_of(stack)]
    rounds: dict[str, list[Measured]] = {"alone": [], "open": []}
    async with Http(connections=IN_FLIGHT + 8) as http, Endings(stack.addresses["redis"]) as endings:
        pipeline = Pipeline(stack.addresses["api"], http, endings, {"width": WIDTH_PX})
        loop = ClosedLoop(pipeline.uploading_and_waiting(small_picture(), "image/png"), in_flight=IN_FLIGHT)
        await loop.run(max(IN_FLIGHT, options.load // 4), families)
        for _ in range(options.rounds):
            rounds["alone"].append(await loop.run(options.load, families))
            async with browsers(stack, home):
                rounds["open"].append(await loop.run(options.load, families))
    return Cost(**rounds)


def cost_report(cost: Cost) -> str:
    names = sorted({name for one in cost.open for name in one.spent.by_name})
    lines = ["CPU time per job, in ms", "", "| process | nobody looks | three browsers |", "|---|---|---|"]
    lines += [
        f"| {name} | {cost.ms_per_job(name, cost.alone):.2f} | {cost.ms_per_job(name, cost.open):.2f} |"
        for name in names
    ]
    others = max(one.others_s / one.seconds for one in (*cost.alone, *cost.open))
    reached = "reached" if cost.share_percent < SHARE_GOAL_PERCENT else "not reached"
    what = f"{reached}: console, store and status take {cost.share_percent:.2f} % of the CPU time for the console"
    disturbed = f"other processes took up to {others:.2f} cores, the browsers and the client's own included"
    return "\n".join([*lines, "", f"{what}, the goal is {SHARE_GOAL_PERCENT:g} %; {disturbed}"])


# --- the program -----------------------------------------------------------------------------------------------------


def parsed_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000, help="that are in the list")
    parser.add_argument("--requests", type=int, default=40, help="for each kind of search")
    parser.add_argument("--load", type=int, default=400, help="jobs per round of the load")
    parser.add_argument("--rounds", type=int, default=3, help="with and without browsers, in turns")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}/console.md")
    return parser.parse_args(arguments)


def report(options: argparse.Namespace, folder: Path) -> tuple[str, Mapping[str, Any]]:
    """Run both parts. Returns the text, and the figures that goals are for."""
    with running_stack(folder / "stack", verbose=False) as stack:
        taken = measure_list(stack, options.jobs, options.requests)
        cost = asyncio.run(measure_cost(stack, options, folder))
    figures = {"list_p95_ms": max(map(p95, taken.values())), "share_percent": cost.share_percent}
    return f"{list_report(taken, options.jobs)}\n\n{cost_report(cost)}", figures


def main() -> None:
    options = parsed_arguments()
    described = "\n".join(machine.description())
    with tempfile.TemporaryDirectory() as name:
        text, _ = report(options, Path(name))
    print(f"{described}\n\n{text}")
    if options.save:
        (RESULTS / "console.md").write_text(f"# The console\n\n{described}\n\n{text}\n")


if __name__ == "__main__":
    main()
