"""`darkroom measure` on a real stack, and what the simulator makes of its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure.sleeping_project import EVENT_TYPE, write_project
from tests.stack import ROOT

ASLEEP_S = 0.3


def darkroom(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.slow
def test_a_function_is_measured_and_simulated_with_its_own_times(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", annotations={}, concurrency=1, max_ack_pending=50)
    out = tmp_path / "measured.json"
    data = json.dumps({"seconds": ASLEEP_S})
    options = ("--times", "3", "--starts", "1", "--at-once", "2", "--out", str(out))
    done = darkroom(project, "measure", "--to", "sleeper", "--event", EVENT_TYPE, "--data", data, *options)
    assert done.returncode == 0, done.stderr
    measured = json.loads(out.read_text())
    assert measured["service"] == measured["trigger"] == "sleeper"
    assert len(measured["service_s"]) == 3
    assert min(measured["service_s"]) >= ASLEEP_S
    # One alone, and at least two of which some were under way at the same time.
    assert len(measured["starts"]) >= 3
    assert all(took_s > 0 for _, took_s in measured["starts"])

    simulated = darkroom(project, "simulate", "--traffic", "steady*0.2", "--times", str(out), "--runs", "1", "--json")
    assert simulated.returncode == 0, simulated.stderr
    document = json.loads(simulated.stdout)
    assert document["remarks"] == []
    assert document["settings"][0]["p50_s"]["median"] >= ASLEEP_S
