"""The wheel, as somebody installs it who has no checkout: what is in it, and that `darkroom up` runs from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from darkroom.contract.parameters.values import Format
from tests.pictures import photo
from tests.stack import ROOT, RunningStack

NOT_IN_THE_WHEEL = ("gallery", "reference", "metrics_table", "dashboards", "monitoring")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("darkroom", "tools", "functions", "loadtests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(out), str(source))
    [built] = out.glob("*.whl")
    return built


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_holds_the_library_and_nothing_that_only_writes_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"darkroom"}
    assert not [name for name in names if Path(name).stem in NOT_IN_THE_WHEEL or "monitoring" in name]
    assert "darkroom/adapters/jobs/lua/claim.lua" in names
    assert "darkroom/cli/new/templates/project/broker.yaml.template" in names
    assert {"darkroom/planning/costs.json", "darkroom/planning/prices.example.toml"} <= set(names)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_installed_wheel_runs_the_pipeline_in_a_folder_with_its_manifests(wheel: Path, tmp_path: Path) -> None:
    environment, project = tmp_path / "environment", tmp_path / "project"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    python = environment / "bin" / "python"
    pip(python, "install", "--constraint", str(ROOT / "constraints.txt"), f"{wheel}[local]")
    project.mkdir()
    shutil.copy(ROOT / "darkroom.toml", project)
    for name in ("knative", "nats-eventing", "functions"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))

    stack = RunningStack(
        data=tmp_path / "data",
        cwd=project,
        program=(str(environment / "bin" / "darkroom"),),
        environment={"PYTHONPATH": "", "PATH": f"{environment / 'bin'}{os.pathsep}{os.defpath}"},
    )
    try:
        stack.start()
        job = stack.completed(stack.submit("resize", photo(Format.JPEG), width=64))
        assert job["result"]["width"] == 64
    finally:
        stack.kill()
