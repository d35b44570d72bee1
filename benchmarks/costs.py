"""What a job costs, by process, as a function of its picture: the figures that `darkroom plan` computes with.

    python -m benchmarks.costs [--save] [--in-flight 8] [--share 1.0]
    python -m benchmarks.costs --check [--in-flight 8] [--share 1.0]

One stack processes the jobs of `cost_cases.FITTED`. For each are measured: CPU time by process, memory of the pods,
bytes in Redis, messages and bytes in JetStream, requests and bytes to S3 (counted on the way to it). CPU time is fitted
as a constant, plus so much per megapixel read and written, or per megabyte moved. A shared machine is by turns faster
and slower, so one and the same job runs in turns with each case, and CPU time is relative to it. `--save` writes
the figures with their machine into the package, where `darkroom plan` reads them.

`--check` processes other jobs than those, in the way of the growth benchmark, and compares each figure with the plan's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.cost_cases import CHECKED, FITTED
from benchmarks.cost_check import compare, report
from benchmarks.cost_model import costs_document
from benchmarks.measure.job_costs import measure_cases, measuring_stack
from darkroom.cli.plan.package_data import COSTS_FILE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, default=8, help="jobs under way at any time")
    parser.add_argument("--share", type=float, default=1.0, help="of each case's jobs")
    parser.add_argument("--save", action="store_true", help=f"write {COSTS_FILE.name} into the package")
    parser.add_argument("--check", action="store_true", help="compare the plan with other jobs")
    options = parser.parse_args()
    cases = CHECKED if options.check else FITTED
    with tempfile.TemporaryDirectory() as name, measuring_stack(Path(name)) as measured_stack:
        run = asyncio.run(measure_cases(measured_stack, cases, in_flight=options.in_flight, share=options.share))
    if options.check:
        comparisons = compare(run)
        print(report(run, comparisons))
        raise SystemExit(0 if all(each.holds for each in comparisons) else 1)
    text = json.dumps(costs_document(run), indent=2) + "\n"
    print(text)
    if options.save:
        COSTS_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
