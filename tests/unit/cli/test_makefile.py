"""`make demo` and `make up` install what they run, and a folder that was moved is installed anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.stack import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def _would_do(target: str, clone: Path) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", target],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def _install(clone: Path, *stamps: str, folder: Path | None = None) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".folder").write_text(f"{(folder or clone).resolve()}\n")
    later = time.time() + 60
    for stamp in stamps:
        (clone / ".venv" / stamp).touch()
        os.utime(clone / ".venv" / stamp, (later, later))


def _installs(lines: list[str]) -> list[str]:
    return [line.rpartition("--editable ")[2] for line in lines if "pip install" in line]


@pytest.mark.parametrize(
    ("target", "extras"),
    [("demo", ["'.[local]'"]), ("up", ["'.[local]'"]), ("test", ["'.[local,dev]'"]), ("setup", ["'.[local,dev]'"])],
)
def test_a_target_installs_what_it_runs_and_says_so(target: str, extras: list[str], clone: Path) -> None:
    lines = _would_do(target, clone)
    assert _installs(lines) == extras
    assert any(line.startswith('echo "Installing ') for line in lines)
    assert not [line for line in lines if "--quiet" in line]


@pytest.mark.parametrize("stamp", [".installed-local", ".installed"])
def test_what_is_installed_is_not_installed_again(stamp: str, clone: Path) -> None:
    _install(clone, stamp)
    assert _would_do("up", clone) == [".venv/bin/darkroom up"]
    assert _would_do("demo", clone) == [".venv/bin/darkroom demo"]


@pytest.mark.parametrize(("stamp", "extras"), [(".installed-local", "'.[local]'"), (".installed", "'.[local,dev]'")])
def test_a_folder_that_was_moved_is_installed_anew_and_says_why(stamp: str, extras: str, clone: Path) -> None:
    _install(clone, stamp, folder=Path("/elsewhere"))
    lines = _would_do("up", clone)
    assert _installs(lines) == [extras]
    assert "python3 -m venv --clear .venv" in lines
    assert any("moved here from" in line for line in lines)
