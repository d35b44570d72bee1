"""Runs the setting that `darkroom simulate --search` finds, and the next cheaper one, for real.

    python -m benchmarks.simulator_search [--objective '95%<5s'] [--share 1.0] [--save]

The traffic is the run `steady-80` of benchmarks/simulator_runs.py, on the same function, which sleeps. The function is
measured, the cheapest setting that holds the objective is searched with these times, and then a stack is started with
that setting, and another one with the setting that is next cheaper. The objective has to hold on the first, and must
not on the second. About five minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.measure import sleeping_project as project
from benchmarks.measure.recorded_runs import CONCURRENCY, MAX_ACK_PENDING, RUNS, SETTINGS, PlannedRun
from benchmarks.simulator_runs import measured_of, run, sleeping_stack
from darkroom.cli.plan.package_data import example_prices
from darkroom.cli.simulate.deployment import find_entrance, make_base, read_manifests
from darkroom.cli.simulate.pod_prices import pod_prices
from darkroom.simulate import LOCAL, from_manifests
from darkroom.simulate.observed.measured import Measured
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Answer, answer
from darkroom.simulate.study.search import Found, search
from darkroom.simulate.study.settings import Axis, Setting
from darkroom.simulate.traffic import Traffic
from tests.stack import ROOT

RESULT = ROOT / "benchmarks/results/simulator-search.md"
AXES = (
    Axis(service=project.SERVICE, name="max-scale", values=("4", "5", "6", "7", "8")),
    Axis(service=project.SERVICE, name="min-scale", values=("0", "4")),
)
SEEDS = range(1, 7)


@dataclass(frozen=True, kw_only=True)
class Real:
    """A setting on a real stack."""

    setting: Setting
    simulated: Sequence[float]
    """The share that was done in time, in the worst and the best of the simulated runs."""
    reached: float
    """The same share of the real run."""
    holds: bool

    def line(self, what: str) -> str:
        worst, best = self.simulated
        return (
            f"| {what} | {self.setting.label} | {worst:.1%} to {best:.1%} | {self.reached:.1%} "
            f"| {'holds' if self.holds else 'does not hold'} |"
        )


def find(folder: Path, planned: PlannedRun, measured: Measured, objective: Objective) -> Found:
    written = project.write_project(
        folder, annotations=SETTINGS, concurrency=CONCURRENCY, max_ack_pending=MAX_ACK_PENDING
    )
    deployed = read_manifests([written / "knative"])
    entrance = find_entrance(from_manifests(deployed.manifests, duration_s=1.0), project.SERVICE)
    traffic = Traffic(source=planned.name, arrivals_s=planned.arrivals_s, sizes=planned.service_s())
    times = {project.SERVICE: measured.observed("measured")}
    base = make_base(deployed, entrance, traffic, times=times, platform=LOCAL, cores=None)
    prices = pod_prices(example_prices(), deployed.pods())
    path = entrance.path(len(planned.arrivals_s))

    def attempt(setting: Setting) -> Answer:
        return answer(setting, base.apply(setting), path=path, objective=objective, seeds=SEEDS)

    return search(AXES, base, attempt=attempt, cost=prices.per_day)


def run_for_real(
    folder: Path, planned: PlannedRun, measured: Measured, simulated: Answer, objective: Objective
) -> Real:
    values = {name: value for (_, name), value in simulated.setting.values.items()}
    with sleeping_stack(folder, settings={**SETTINGS, **values}) as stack:
        reached = share_in_time(run(stack, planned, measured, until_zero=False), objective)
    within = [each.within for each in simulated.figures]
    return Real(
        setting=simulated.setting,
        simulated=(min(within), max(within)),
        reached=reached,
        holds=reached >= objective.share,
    )


def share_in_time(recording: Recording, objective: Objective) -> float:
    done = [took for took in recording.took_s if took is not None and took <= objective.within_s]
    return len(done) / len(recording.took_s)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", type=Objective.parse, default="95%<5s")
    parser.add_argument("--share", type=float, default=1.0, help="of the run, from its beginning")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    return parser.parse_args()


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    objective: Objective = options.objective
    planned = RUNS["steady-80"].shortened(options.share)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sleeping_stack(folder / "measured", settings=dict(SETTINGS)) as stack:
            measured = measured_of(stack)
        found = find(folder / "searched", planned, measured, objective)
        if found.best is None or found.next_cheaper is None:
            raise SystemExit(f"the search found no setting that holds {objective}, or none that is cheaper")
        print(f"found {found.best.setting.label}, next cheaper {found.next_cheaper.setting.label}", flush=True)
        best = run_for_real(folder / "best", planned, measured, found.best, objective)
        print(best.line("found"), flush=True)
        cheaper = run_for_real(folder / "cheaper", planned, measured, found.next_cheaper, objective)
        print(cheaper.line("next cheaper"), flush=True)
    command = " ".join(["python -m benchmarks.simulator_search", *sys.argv[1:]])
    text = "\n".join(
        [
            "# The setting that the search finds, for real",
            "",
            *(f"- {line}" for line in [*head, f"`{command}`"]),
            f"- {planned.name}: {planned.meaning}; the objective is {objective}",
            f"- {len(found.tried)} settings were simulated, {len(SEEDS)} times each",
            "",
            "| | setting | simulated | real | real |",
            "|---|---|---|---|---|",
            best.line("found"),
            cheaper.line("next cheaper"),
            "",
        ]
    )
    print(f"\n{text}")
    if options.save:
        RESULT.write_text(text, encoding="utf-8")
    if not best.holds or cheaper.holds:
        raise SystemExit("the objective must hold with the setting that was found, and not with the next cheaper one")


if __name__ == "__main__":
    main()
