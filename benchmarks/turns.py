"""One key's job behind another key's backlog, with the Broker's window and without one, and what the window costs.

    python -m benchmarks.turns [--backlogs 100,1000,10000] [--times 20] [--unbounded-times 3] [--window 40]
                               [--cost-jobs 1500] [--rounds 6] [--burst 600] [--save]

Two stacks that differ in BROKER_WINDOW alone, side by side; what is compared alternates between them.

- Waits: A has a backlog, B submits one job after the other. The functions stand still while A submits, so that its jobs
  are really queued, and while the backlog is filled up again before each of B's jobs. With a window, B's waits are the
  same within a fifth whatever the backlog, and at most as long as one window's renders (docs/reliability.md, row 17).
  Without one, B waits for all of the backlog: so this is done a few times only, and once from 5,000 jobs on.
- Cost: the CPU time per job of all of the stack's processes, and jobs per second, from a full queue to the last job's
  end. The window costs at most 3 % of CPU time.
- Scale-out: the instances that the autoscaler wants, over time, when a burst meets a function at zero. The window
  changes nothing about it.

The whole takes about ten minutes on two cores; `--backlogs 100,300 --times 5 --cost-jobs 200 --rounds 1` about one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.measure import machine
from benchmarks.measure.backlog import Submitter, held, in_batches
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.ends import Ends
from benchmarks.measure.keyed_stack import keyed_stack
from benchmarks.measure.others import Others
from benchmarks.measure.small_picture import WIDTH_PX, small_picture
from benchmarks.pipeline import RESULTS, family_of
from tests.stack import RunningStack

UNBOUNDED = "off"
OF_THE_LONGEST = 1.2
OF_THE_UNBOUNDED_CPU = 1.03
LARGE_BACKLOG = 5000
WARM_UP_JOBS = 20
WITHIN_S = 900.0
READ_EVERY_S = 0.5
WATCHED_S = 20.0
SUPPOSED_PER_S, SUPPOSED_ACCEPTED_PER_S = 90, 350
"""Of two cores, for the estimate."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    seconds: float
    """From the acceptance to the end."""
    renders: int
    """The other jobs that ended meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    cpu_ms_by_process: dict[str, float]
    """Per job."""
    per_s: float
    others_cores: float
    """What other processes took meanwhile, the other stack included."""

    @property
    def cpu_ms(self) -> float:
        """Per job, of all processes."""
        return sum(self.cpu_ms_by_process.values())


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two stacks."""

    window: str
    stack: RunningStack
    family: Family
    ends: Ends
    a: Submitter
    b: Submitter

    @property
    def name(self) -> str:
        return "no window" if self.window == UNBOUNDED else f"window {self.window}"

    def warm_up(self) -> None:
        """Have everything used once but resize, which is at zero when the burst comes."""
        jobs = [str(self.a.submit_one("crop").raise_for_status().json()["job_id"]) for _ in range(WARM_UP_JOBS)]
        self.ends.wait_for(jobs, within_s=WITHIN_S)

    def waits(self, backlog: int, times: int) -> list[Wait]:
        """B's jobs, one after the other, each behind a backlog of this size."""
        submitted: set[str] = set()
        found = []
        for _ in range(times):
            with held(self.stack) as holding:
                for size in in_batches(backlog - len(submitted - self.ends.at.keys())):
                    submitted.update(self.a.submit(size))
                    holding.hold()
            found.append(self._wait())
        if self.window == UNBOUNDED:
            self.ends.wait_for(submitted, within_s=WITHIN_S)
        return found

    def _wait(self) -> Wait:
        job_id = str(self.b.submit_one().raise_for_status().json()["job_id"])
        self.ends.wait_for([job_id], within_s=WITHIN_S)
        job = self.b.job(job_id)
        created_at, finished_at = (
            datetime.fromisoformat(job[name]).timestamp() for name in ("created_at", "finished_at")
        )
        others = [at for at in self.ends.between(created_at, finished_at) if at != self.ends.at[job_id]]
        return Wait(seconds=finished_at - created_at, renders=len(others))

    def cost(self, jobs: int) -> Cost:
        spent_before, others = self.family.spent(), Others([self.family])
        submitted: list[str] = []
        with held(self.stack) as holding:
            for size in in_batches(jobs):
                submitted += self.a.submit(size)
                holding.hold()
        began_at = time.time()
        last_at = self.ends.wait_for(submitted, within_s=WITHIN_S)
        spent = self.family.spent().since(spent_before)
        by_process = {name: seconds * 1000 / jobs for name, seconds in spent.by_name.items()}
        return Cost(cpu_ms_by_process=by_process, per_s=jobs / (last_at - began_at), others_cores=others.cores())

    def scale_out(self, jobs: int, *, for_s: float = WATCHED_S) -> list[int]:
        """Return the instances wanted at each reading, from before the burst on."""
        wanted = [int(self.stack.function("resize")["wanted"])]
        # In a thread: what it submits takes some seconds, and without a window longer.
        with ThreadPoolExecutor(max_workers=1) as submitter:
            began = time.monotonic()
            submitting = submitter.submit(lambda: [job for size in in_batches(jobs) for job in self.a.submit(size)])
            for reading in range(1, round(for_s / READ_EVERY_S)):
                time.sleep(max(0.0, began + reading * READ_EVERY_S - time.monotonic()))
                wanted.append(int(self.stack.function("resize")["wanted"]))
            self.ends.wait_for(submitting.result(), within_s=WITHIN_S)
        return wanted


@dataclass(frozen=True, kw_only=True)
class Figures:
    """By the side's name."""

    waits: dict[str, dict[int, list[Wait]]]
    """By backlog."""
    costs: dict[str, list[Cost]]
    wanted: dict[str, list[int]]

    def longest_to_shortest(self, side: str) -> float:
        medians = [median(wait.seconds for wait in waits) for waits in self.waits[side].values()]
        return max(medians) / min(medians)

    def cpu_ratio(self, side: str, other: str) -> float:
        """Of all rounds together: who is first alternates, so that both get the same share of what drifts."""
        return sum(cost.cpu_ms for cost in self.costs[side]) / sum(cost.cpu_ms for cost in self.costs[other])


@contextmanager
def running_side(folder: Path, window: str) -> Iterator[Side]:
    with ExitStack() as resources:
        keyed = resources.enter_context(keyed_stack(folder, keys=2, settings={"BROKER_WINDOW": window}))
        picture = small_picture()
        a, b = (resources.enter_context(Submitter(keyed.stack, key, picture, width=WIDTH_PX)) for key in keyed.keys)
        ends = resources.enter_context(Ends(keyed.stack.addresses["redis"]))
        yield Side(window=window, stack=keyed.stack, family=family_of(keyed.stack), ends=ends, a=a, b=b)


def measure(folder: Path, options: argparse.Namespace) -> Figures:
    with ExitStack() as resources:
        sides = [resources.enter_context(running_side(folder / name, name)) for name in (options.window, UNBOUNDED)]
        bounded = sides[0]
        for side in sides:
            side.warm_up()
        wanted = {side.name: side.scale_out(options.burst) for side in sides}
        costs: dict[str, list[Cost]] = {side.name: [] for side in sides}
        for number in range(options.rounds):
            # The first of a round has the caches of the last.
            for side in sides if number % 2 == 0 else reversed(sides):
                costs[side.name].append(side.cost(options.cost_jobs))
                print(f"{side.name}: {costs[side.name][-1]}", flush=True)
        waits: dict[str, dict[int, list[Wait]]] = {side.name: {} for side in sides}
        # One side's backlogs follow each other: what the other side's load left behind, such as instances that still
        # end, would be in one of them alone.
        for side in sides:
            side.waits(min(options.backlogs), 1)
            for backlog in options.backlogs:
                unbounded_times = 1 if backlog >= LARGE_BACKLOG else options.unbounded_times
                times = options.times if side is bounded else unbounded_times
                waits[side.name][backlog] = side.waits(backlog, times)
                print(f"{side.name}, backlog {backlog}: {_waits_cell(waits[side.name][backlog])}", flush=True)
    return Figures(waits=waits, costs=costs, wanted=wanted)


# --- reporting -------------------------------------------------------------------------------------------------------


def _waits_cell(waits: Sequence[Wait]) -> str:
    seconds, renders = median(wait.seconds for wait in waits), median(wait.renders for wait in waits)
    times = "once" if len(waits) == 1 else f"median of {len(waits)}"
    return f"{seconds:.2f} s, {renders:.0f} renders ({times})"


def report(figures: Figures) -> str:
    bounded, unbounded = figures.waits
    lines = [f"| | {bounded} | {unbounded} |", "|---|---|---|"]

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    for backlog in figures.waits[bounded]:
        row(f"B's job behind {backlog:,} of A's", [_waits_cell(waits[backlog]) for waits in figures.waits.values()])
    row("longest median / shortest", [f"{figures.longest_to_shortest(side):.2f}" for side in figures.waits])
    row("CPU ms per job", [f"{median(cost.cpu_ms for cost in costs):.2f}" for costs in figures.costs.values()])
    processes = {name for costs in figures.costs.values() for cost in costs for name in cost.cpu_ms_by_process}
    for process in sorted(processes):
        each = [median(cost.cpu_ms_by_process.get(process, 0) for cost in costs) for costs in figures.costs.values()]
        row(f"&nbsp;&nbsp;{process}", [f"{cpu_ms:.2f}" for cpu_ms in each])
    row("jobs per second", [f"{median(cost.per_s for cost in costs):.1f}" for costs in figures.costs.values()])
    row(
        "cores that others took",
        [f"{median(cost.others_cores for cost in costs):.2f}" for costs in figures.costs.values()],
    )
    row("most instances wanted", [str(max(wanted)) for wanted in figures.wanted.values()])
    row("after s", [f"{wanted.index(max(wanted)) * READ_EVERY_S:.1f}" for wanted in figures.wanted.values()])
    return "\n".join(
        [
            *lines,
            "",
            f"- longest median / shortest: at most {OF_THE_LONGEST}, and at most a window's renders",
            f"- CPU per job, {bounded} / {unbounded}: {figures.cpu_ratio(bounded, unbounded):.3f}, at most "
            f"{OF_THE_UNBOUNDED_CPU}; {len(figures.costs[bounded])} rounds",
            f"- instances wanted, each {READ_EVERY_S:g} s from the burst on:",
            *(f"    - {side}: {' '.join(map(str, wanted))}" for side, wanted in figures.wanted.items()),
            "",
        ]
    )


def _print_estimate(options: argparse.Namespace) -> None:
    waits_s = sum(
        backlog / SUPPOSED_ACCEPTED_PER_S * 2
        + backlog / SUPPOSED_PER_S * (1 if backlog >= LARGE_BACKLOG else options.unbounded_times)
        + 1.3 * options.times
        for backlog in options.backlogs
    )
    each_cost_s = options.cost_jobs / SUPPOSED_PER_S + options.cost_jobs / SUPPOSED_ACCEPTED_PER_S
    parts = {"starts": 15.0, "scale-out": 2 * WATCHED_S, "cost": 2 * options.rounds * each_cost_s, "waits": waits_s}
    told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in parts.items())
    print(f"about {sum(parts.values()) / 60:.0f} minutes on two quiet cores: {told}", flush=True)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--backlogs", type=lambda text: sorted(map(int, text.split(","))), default=[100, 1000, 10_000], help="A's jobs"
    )
    parser.add_argument("--times", type=int, default=20, help="B's jobs behind each backlog, with a window")
    parser.add_argument("--unbounded-times", type=int, default=3, help="and without one; once from 5,000 on")
    parser.add_argument("--window", default="40", help="BROKER_WINDOW")
    parser.add_argument("--cost-jobs", type=int, default=1500, help="in each round of the cost")
    parser.add_argument("--rounds", type=int, default=6, help="of the cost; an even number")
    parser.add_argument("--burst", type=int, default=600, help="jobs of the scale-out")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    return parser.parse_args()


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    _print_estimate(options)
    with tempfile.TemporaryDirectory() as name:
        figures = measure(Path(name), options)
    command = " ".join(["python -m benchmarks.turns", *sys.argv[1:]])
    text = "\n".join(["# Turns", "", *(f"- {line}" for line in [*head, f"`{command}`"]), "", report(figures)])
    print(f"\n{text}")
    if options.save:
        (RESULTS / "turns.md").write_text(text)


if __name__ == "__main__":
    main()
