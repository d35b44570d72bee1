"""Some of the sets in tests/data/examples, each started by a real `darkroom up`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.stack import ROOT, refused_up, running_stack

SETS = ROOT / "tests" / "data" / "examples"
STARTED = {
    "eventing-kafka": "subscriptions",
    "eventing-parallel-branches": "subscriptions",
    "eventing-sequence-into-a-sequence": "subscriptions",
    "eventing-sequence-with-broker": "triggers",
    "eventing-trigger-filters": "triggers",
}
"""What each has that its status must show."""


@pytest.mark.slow
@pytest.mark.parametrize("name", STARTED)
def test_a_set_starts_and_the_status_names_what_is_left_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "project"
    shutil.copytree(SETS / name, folder)
    with running_stack(tmp_path / "data", cwd=folder) as stack:
        status = stack.status()
        assert [server["state"] for server in status["servers"]] == ["up"]
        assert status[STARTED[name]]
        assert all(row["reason"] for row in status["left_out"])
        log = stack.log.read_text()
        assert stack.stop() == 0
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_set_whose_function_is_not_here_starts_and_names_it_and_with_strict_it_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(SETS / "serving-hello", folder)
    with running_stack(tmp_path / "data", cwd=folder) as stack:
        told = stack.function("hello")["not_run"]
        assert told.startswith("hello: no way to start image ")
        assert told in stack.log.read_text()
    refused = refused_up(folder, "--strict", "--data", str(tmp_path / "data"))
    assert f"these would not be run:\n  {told}" in refused
