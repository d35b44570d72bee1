"""Easy pictures behind hard ones: how long 20 standard jobs take that were posted after 100 heavy ones.

    python -m benchmarks.cost_classes [--heavy 100] [--standard 20]

Once with cost classes, once without (COST_CLASSES=off in a copy of the manifests), on the same stack otherwise.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from darkroom.imaging.photograph import make_photograph
from tests.stack import ROOT, RunningStack, eventually, running_stack

HEAVY_PARAMETERS = {"width": 2400, "format": "avif", "effort": 2}
STANDARD_PARAMETERS = {"width": 400}
WITHIN_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Seconds after the last POST."""

    standard_median_s: float
    standard_last_s: float
    heavy_last_s: float
    heavy_done_before_the_last_standard: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heavy", type=int, default=100)
    parser.add_argument("--standard", type=int, default=20)
    arguments = parser.parse_args()
    picture = make_photograph(2400, 1600)
    figures = {}
    for mode in ("on", "off"):
        with tempfile.TemporaryDirectory() as folder:
            figures[mode] = measure(Path(folder), mode, picture, heavy=arguments.heavy, standard=arguments.standard)
        _print(mode, figures[mode], arguments)
    ratio = figures["off"].standard_median_s / figures["on"].standard_median_s
    print(f"with cost classes the standard jobs' median is {ratio:.1f} times shorter")


def measure(folder: Path, mode: str, picture: bytes, *, heavy: int, standard: int) -> Figures:
    options = _manifests(folder, mode)
    with running_stack(folder / "data", *options) as stack:
        heavy_ids = _submit(stack, heavy, picture, HEAVY_PARAMETERS)
        standard_ids = _submit(stack, standard, picture, STANDARD_PARAMETERS)
        posted = time.time()
        standard_ends = _ends(stack, standard_ids, posted)
        heavy_ends = _ends(stack, heavy_ids, posted)
    last = max(standard_ends)
    return Figures(
        standard_median_s=statistics.median(standard_ends),
        standard_last_s=last,
        heavy_last_s=max(heavy_ends),
        heavy_done_before_the_last_standard=sum(end <= last for end in heavy_ends),
    )


def _manifests(folder: Path, mode: str) -> list[str]:
    """Write the manifests unchanged but for COST_CLASSES."""
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    settings = folder / "knative/base/settings.yaml"
    settings.write_text(settings.read_text() + f'  COST_CLASSES: "{mode}"\n')
    return ["--manifests", str(folder / "knative/base"), "--manifests", str(folder / "nats-eventing")]


def _submit(stack: RunningStack, count: int, picture: bytes, parameters: dict[str, Any]) -> list[str]:
    with ThreadPoolExecutor(max_workers=10) as threads:
        return list(threads.map(lambda _: stack.submit("resize", picture, **parameters), range(count)))


def _ends(stack: RunningStack, job_ids: Sequence[str], posted: float) -> list[float]:
    return [_end(stack, job_id) - posted for job_id in job_ids]


def _end(stack: RunningStack, job_id: str) -> float:
    def look() -> dict[str, Any] | None:
        job = stack.job(job_id, wait_s=30)
        return job if job["status"] in {"completed", "failed"} else None

    job = eventually(look, within_s=WITHIN_S, what=f"job {job_id} ends")
    if job["status"] != "completed":
        raise SystemExit(f"a job failed: {job}")
    return datetime.fromisoformat(job["finished_at"]).timestamp()


def _print(mode: str, figures: Figures, arguments: argparse.Namespace) -> None:
    print(
        f"cost classes {mode:>3}: {arguments.standard} standard jobs done after {figures.standard_median_s:.1f} s "
        f"(median), {figures.standard_last_s:.1f} s (last); by then {figures.heavy_done_before_the_last_standard} of "
        f"{arguments.heavy} heavy ones were; the last of those after {figures.heavy_last_s:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
