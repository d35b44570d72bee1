"""The benchmark of the simulator runs, and prints a digest per case that is the same each time."""

from __future__ import annotations

import pytest

from benchmarks.simulate import cases, main
from darkroom.simulate import run


def test_every_case_of_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--arrivals", "300"])
    first = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:-1]]
    main(["--arrivals", "300"])
    second = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert first == second
    assert len(first) == len(list(cases(1)))


def test_every_arrival_of_its_cases_ends() -> None:
    for name, scenario in cases(300):
        (latencies,) = run(scenario).latencies.values()
        lost = sum(flow.lost for flow in run(scenario).flows.values())
        assert latencies.count + lost == 300, name
