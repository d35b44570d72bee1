"""The cost of an idle stack: CPU time and memory, by process.

    python -m benchmarks.idle [--seconds 60] [--settle 30] [--warm]

Everything that `darkroom up` runs: servers, runtime, and the functions that its manifests keep at one. With `--warm`,
one picture has been processed, so that libraries are loaded and the functions at zero have started and stopped again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.measure.cpu_time import Family, Spent
from benchmarks.pipeline import family_of
from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack, eventually, running_stack

GOAL_PERCENT = 2.0
"""In percent of one core."""
READ_EVERY_S = 1.0
AT_ZERO_WITHIN_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Idle:
    seconds: float
    spent: Spent
    processes: dict[str, int]
    resident_bytes: dict[str, int]
    proportional_bytes: dict[str, int]

    def percent(self, name: str) -> float:
        return self.spent.by_name.get(name, 0.0) / self.seconds * 100

    @property
    def total_percent(self) -> float:
        return self.spent.total_s / self.seconds * 100


def measure(family: Family, seconds: float) -> Idle:
    before, started = family.spent(), time.monotonic()
    while time.monotonic() - started < seconds:
        # The time of a process that ends is attributed to it only up to the last reading, and to its parent after that.
        time.sleep(READ_EVERY_S)
        spent = family.spent()
    lasted_s = time.monotonic() - started
    return Idle(
        seconds=lasted_s,
        spent=spent.since(before),
        processes=family.counts(),
        resident_bytes=family.resident_bytes(),
        proportional_bytes=family.proportional_bytes(),
    )


def report(idle: Idle) -> str:
    lines = [f"{'':<14}{'processes':>10}{'% of a core':>13}{'MB resident':>13}{'MB proportional':>17}"]
    lines += [_line(idle, name) for name in sorted(idle.processes, key=lambda name: -idle.percent(name))]
    lines.append(
        f"{'in all':<14}{sum(idle.processes.values()):>10}{idle.total_percent:>13.2f}{'':>13}"
        f"{sum(idle.proportional_bytes.values()) / 1e6:>17.0f}"
    )
    reached = "reached" if idle.total_percent < GOAL_PERCENT else "not reached"
    return "\n".join([*lines, f"{reached}: {idle.total_percent:.2f} % of a core, the goal is {GOAL_PERCENT:g} %"])


def _line(idle: Idle, name: str) -> str:
    return (
        f"{name:<14}{idle.processes[name]:>10}{idle.percent(name):>13.2f}"
        f"{idle.resident_bytes[name] / 1e6:>13.0f}{idle.proportional_bytes[name] / 1e6:>17.0f}"
    )


def _wait_for_zero(stack: RunningStack) -> None:
    scaling = ("resize", "crop")
    eventually(
        lambda: all(stack.function(service)["ready"] == 0 for service in scaling),
        within_s=AT_ZERO_WITHIN_S,
        what="resize and crop are at zero",
    )


def parsed_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the measurement")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds between the start and the measurement")
    parser.add_argument("--warm", action="store_true", help="send a picture through first, and wait for zero again")
    return parser.parse_args(arguments)


def main() -> None:
    options = parsed_arguments()
    print("\n".join(machine.description()))
    with tempfile.TemporaryDirectory() as name, running_stack(Path(name) / "stack", verbose=False) as stack:
        if options.warm:
            stack.completed(stack.submit("resize", make_photograph(640, 480), width=100))
        _wait_for_zero(stack)
        time.sleep(options.settle)
        print(report(measure(family_of(stack), options.seconds)))


if __name__ == "__main__":
    main()
