"""The raw render: a number of processes, each with one picture in memory, that render it over and over. No I/O.

No pipeline can be faster on this machine with the same call that the functions make. Run as a program, this is one of
those processes: it prints `ready`, and for each line with a number of seconds it prints its figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
# As in knative/base/resize.yaml.
ENVIRONMENT = {
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "8388608",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
}


@dataclass(frozen=True, kw_only=True)
class RawRender:
    per_s: float
    cpu_ms_each: float


class RawRenderers:
    def __init__(self, picture: Path, parameters: dict[str, Any], *, processes: int) -> None:
        command = [sys.executable, "-m", "benchmarks.measure.raw_render", str(picture), json.dumps(parameters)]
        self._processes = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]

    def __enter__(self) -> RawRenderers:
        for process in self._processes:
            self._read(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def run(self, seconds: float) -> RawRender:
        """Run all of them at once."""
        for process in self._processes:
            if process.stdin is None:
                raise RuntimeError("started without a pipe")
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        answers = [self._read(process) for process in self._processes]
        count = sum(int(answer["count"]) for answer in answers)
        return RawRender(
            per_s=sum(answer["count"] / answer["took_s"] for answer in answers),
            cpu_ms_each=sum(answer["cpu_s"] for answer in answers) * 1000 / count,
        )

    def _read(self, process: subprocess.Popen[str]) -> dict[str, float]:
        if process.stdout is None:
            raise RuntimeError("started without a pipe")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a raw renderer ended with {process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer


def main() -> None:
    from darkroom.contract.limits import Limits
    from darkroom.contract.parameters.parsing import parse_parameters
    from darkroom.contract.parameters.resize import ResizeParameters
    from darkroom.imaging import render

    body = Path(sys.argv[1]).read_bytes()
    parameters, limits = parse_parameters(ResizeParameters, json.loads(sys.argv[2])), Limits()
    render(body, parameters, limits)
    print("{}", flush=True)
    for line in sys.stdin:
        count, started, cpu_before_s = 0, time.monotonic(), time.process_time()
        while time.monotonic() - started < float(line):
            render(body, parameters, limits)
            count += 1
        took_s, cpu_s = time.monotonic() - started, time.process_time() - cpu_before_s
        print(json.dumps({"count": count, "took_s": took_s, "cpu_s": cpu_s}), flush=True)


if __name__ == "__main__":
    main()
