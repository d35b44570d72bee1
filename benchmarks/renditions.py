"""Five renditions of a picture, 1600, 800, 400 and 200 px wide and a square of 300: what one decode saves.

    python -m benchmarks.renditions imaging [--seconds 2] [--rounds 3] [--cases 2k,12mp]
    python -m benchmarks.renditions stack [--seconds 10] [--rounds 3] [--cases 2k,12mp] [--in-flight 16]
                                          [--node-modules FOLDER,FOLDER]

`imaging` compares engines in processes of their own: all together, five renders, five thumbnails of libvips, and one
decode by libvips of which the smaller ones are made. `stack` compares, in turns, one job of type renditions through the
whole stack, five jobs of type resize, and plain workers of Celery and of BullMQ that make all five in one task. All use
the same Redis and S3 server, have as many processes as there are cores, and read a picture that is in storage already.
What goes to and from the storage is counted in a run of its own, through a proxy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from benchmarks.measure.rendition_engines import ENGINES, FIVE
from darkroom.imaging.photograph import make_photograph

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    size: tuple[int, int]
    most_cpu: float
    """Goal: of the CPU time of five jobs."""
    least_per_s: float
    """Goal: jobs per second, of the better peer's."""


CASES = (
    Case(name="2k", size=(2048, 1536), most_cpu=0.6, least_per_s=1.3),
    Case(name="12mp", size=(4000, 3000), most_cpu=0.4, least_per_s=1.8),
)
MOST_LOST_DB = 0.5


def measured_engine(name: str, picture: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.measure.rendition_engines", name, str(picture), str(seconds)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    if run.returncode != 0:
        raise RuntimeError(f"{name}: {run.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def compare_engines(case: Case, folder: Path, options: argparse.Namespace) -> None:
    picture = folder / f"{case.name}.jpg"
    picture.write_bytes(make_photograph(*case.size, seed=7))
    best: dict[str, dict[str, Any]] = {}
    for _ in range(options.rounds):
        for name in ENGINES:
            found = measured_engine(name, picture, options.seconds)
            if name not in best or found["cpu_ms"] < best[name]["cpu_ms"]:
                best[name] = found
    print_engines(case, best)


def print_engines(case: Case, figures: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"\n{case.name}: JPEG {case.size[0]}x{case.size[1]}, quality 80, dB to a full decode with Lanczos")
    print(f"  {'':20} {'CPU ms':>7} {'of five':>8} {'peak MB':>8} " + " ".join(f"{name:>7}" for name in FIVE))
    five_ms = figures["five renders"]["cpu_ms"]
    for name, one in figures.items():
        distances = " ".join(f"{one['db'][rendition]:7.2f}" for rendition in FIVE)
        print(f"  {name:20} {one['cpu_ms']:7.1f} {one['cpu_ms'] / five_ms:8.2f} {one['peak_mb']:8.1f} {distances}")
    lost = {name: figures["five renders"]["db"][name] - figures["together"]["db"][name] for name in FIVE}
    worst = max(lost, key=lambda name: lost[name])
    verdict = "reached" if lost[worst] <= MOST_LOST_DB else "**not reached**"
    print(f"  {verdict}: {worst} loses {lost[worst]:.2f} dB to a job of its own, the limit is {MOST_LOST_DB} dB")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("imaging", "stack"))
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="of each measurement: 2 for engines, 10 for the stack"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default=",".join(case.name for case in CASES))
    parser.add_argument("--in-flight", type=int, default=16, help="jobs under way at any time")
    parser.add_argument("--node-modules", default="node_modules", help="folders with bullmq, sharp and @aws-sdk")
    arguments = parser.parse_args()
    arguments.modules = [Path(one).resolve() for one in arguments.node_modules.split(",")]
    arguments.seconds = arguments.seconds or (2.0 if arguments.part == "imaging" else 10.0)
    return arguments


def main() -> None:
    options = parsed_arguments()
    chosen = [case for case in CASES if case.name in options.cases.split(",")]
    print("\n".join(machine.description()))
    with tempfile.TemporaryDirectory() as name:
        if options.part == "stack":
            # Imported here, because the engines need neither servers nor clients.
            from benchmarks.renditions_stack import compare_stacks

            compare_stacks(chosen, Path(name), options)
        else:
            for case in chosen:
                compare_engines(case, Path(name), options)


if __name__ == "__main__":
    main()
