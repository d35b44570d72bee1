"""`darkroom measure` refuses what it cannot measure before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure.sleeping_project import EVENT_TYPE, write_project
from tests.unit.cli.conftest import Darkroom


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", annotations={}, concurrency=1, max_ack_pending=50)


def test_a_function_that_takes_no_events_is_refused(darkroom: Darkroom, project: Path) -> None:
    done = darkroom("measure", str(project / "knative/service.yaml"), "--event", EVENT_TYPE)
    assert done.exit_code == 2
    assert "sleeper takes no events; functions behind a Trigger are measured" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to send: --event TYPE, or --picture FILE"),
        (["--event", EVENT_TYPE, "--out", "nowhere/m.json"], "there is no folder"),
        (["--event", EVENT_TYPE, "--to", "sleepr"], "there is no 'sleepr'"),
        (["--event", EVENT_TYPE, "--at-once", "1"], "2<=x<=100"),
        (["--event", EVENT_TYPE, "--data", "seconds: 1"], "--data must be JSON or the name of a file that has it"),
        (["--event", EVENT_TYPE, "--parameter", "width"], "--parameter reads like width=512, was 'width'"),
    ],
)
def test_what_makes_no_sense_is_refused(darkroom: Darkroom, project: Path, arguments: list[str], said: str) -> None:
    done = darkroom("measure", str(project / "knative"), *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
