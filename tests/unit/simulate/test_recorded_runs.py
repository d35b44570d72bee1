"""Real runs of benchmarks/simulator_runs.py, as they were recorded, beside their simulation.

`python -m benchmarks.simulator_runs --save` records them anew, on a machine that does nothing else. The simulation
knows what was measured before the runs, the manifests, and when each event came and what it asked for.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.measure.recorded_runs import CONCURRENCY, MAX_ACK_PENDING, RUNS, SETTINGS, write_recording
from benchmarks.measure.sleeping_project import write_project
from darkroom.cli.simulate.calibrating import calibrated
from darkroom.simulate.observed.recording import Recording, parse_recording

DATA = Path(__file__).parents[2] / "data" / "simulator"
SEEDS = range(1, 4)
RECORDED = [name for name in RUNS if (DATA / f"{name}.json.gz").exists()]


def recording(name: str) -> Recording:
    return parse_recording(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()).decode(), source=name)


@pytest.mark.parametrize("name", RECORDED)
def test_a_real_run_and_its_simulation_agree(name: str, tmp_path: Path) -> None:
    run = recording(name)
    project = write_project(
        tmp_path / "project", annotations=SETTINGS, concurrency=CONCURRENCY, max_ack_pending=MAX_ACK_PENDING
    )
    found = calibrated(project, run, SEEDS)
    assert found.is_within, found.line()


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_run_is_the_planned_one_and_lost_nothing(name: str) -> None:
    run = recording(name)
    assert len(run.arrivals_s) == len(RUNS[name].arrivals_s)
    # In the order of arrival, which two events of one moment may have exchanged.
    assert sorted(run.sizes) == pytest.approx(sorted(RUNS[name].service_s()), abs=0.001)
    assert None not in run.took_s
    assert run.scaling == SETTINGS


def test_a_recording_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    first = write_recording(recording(RECORDED[0]), tmp_path / "first").read_bytes()
    assert write_recording(recording(RECORDED[0]), tmp_path / "second").read_bytes() == first


def test_the_planned_runs_are_the_same_each_time() -> None:
    run = RUNS["steady-80"]
    assert run.service_s() == run.service_s()
    assert run.service_s() != RUNS["steady-30"].service_s()
    assert 0.75 < len(run.arrivals_s) * 0.4 / 2 / 8 / 60 < 0.85
