"""The example of a `func` project: left out with a command to run, and served once that has been run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.stack import ROOT, eventually, refused_up, running_stack

EXAMPLE = ROOT / "examples" / "func-project"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    return tmp_path / "project"


def test_without_its_middleware_the_function_is_left_out_with_the_command_that_installs_it(project: Path) -> None:
    with running_stack(project / ".darkroom", cwd=project, environment={"VIRTUAL_ENV": ""}) as stack:
        told = stack.function("greeter")["not_run"]
        assert told.startswith("greeter: image dev.local/greeter is a func project in Python")
        assert told.endswith("python3 -m venv greeter/.venv && greeter/.venv/bin/pip install func-python ./greeter")
        assert told in stack.log.read_text()


def test_strict_refuses_to_start_without_it(project: Path) -> None:
    told = refused_up(project, "--strict", environment={"VIRTUAL_ENV": ""})
    assert "these would not be run:\n  greeter: image dev.local/greeter is a func project in Python" in told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_func_project_is_served_from_its_own_environment(project: Path) -> None:
    environment = project / "greeter" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    pip = [str(environment / "bin" / "pip"), "--quiet", "--disable-pip-version-check", "install"]
    done = subprocess.run([*pip, "func-python", "./greeter"], cwd=project, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    with running_stack(project / ".darkroom", cwd=project) as stack:
        headers, body = encode_binary(new_event("example.signed-up", "/shop", {"name": "Ada"}))
        answer = httpx.post(f"{stack.addresses['broker']}/default/default", headers=headers, content=body)
        assert answer.status_code == 202
        log = stack.data / "logs" / "greeter.log"
        eventually(lambda: log.exists() and "greeted: Hello, Ada!" in log.read_text(), within_s=60, what="it greets")
        eventually(lambda: stack.trigger("greeter")["delivered"] == 1, within_s=20, what="its answer is an event")
        assert stack.stop() == 0
        assert "greeter stops" in log.read_text()
