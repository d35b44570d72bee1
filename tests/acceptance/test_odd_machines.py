"""The demo and `darkroom up` where machines differ: paths with spaces, other users, proxies, read-only folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from darkroom.imaging.photograph import make_photograph
from tests.stack import ROOT, RunningStack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]

SOURCES = ("darkroom.toml", "darkroom", "functions", "knative", "nats-eventing")
NOBODY = 65534
PROXY = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can reach too, as pytest's own is not."""
    made = Path(tempfile.mkdtemp(prefix="darkroom-odd-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", made], check=True)
        shutil.rmtree(made)


def _copy_of_the_tree(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder


def _environment(**more: str) -> dict[str, str]:
    without = {"no_proxy", "NO_PROXY", "COLUMNS", "PYTHONPATH"}
    return {**{name: value for name, value in os.environ.items() if name not in without}, **more}


def _run(
    *arguments: str,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    python: Path = Path(sys.executable),
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "darkroom.cli", *arguments],
        cwd=cwd,
        env=_environment(**(environment or {})),
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def _check_demo(done: subprocess.CompletedProcess[str], out: Path) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for name, size_px in {"resize": (1200, 900), "crop": (1600, 1200)}.items():
        facts = probe((out / f"{name}.jpg").read_bytes(), Limits())
        assert (facts.width, facts.height) == size_px


def test_the_demo_runs_on_a_path_with_spaces(folder: Path) -> None:
    clone = _copy_of_the_tree(folder / "my pictures [x] é")
    _check_demo(_run("demo", cwd=clone), clone / "demo-output")


def test_the_demo_runs_with_a_proxy_set_at_80_columns_without_a_terminal(folder: Path) -> None:
    data, out = folder / "data", folder / "out"
    done = _run("demo", "--data", str(data), "--out", str(out), cwd=ROOT, environment={**PROXY, "COLUMNS": "80"})
    _check_demo(done, out)
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    assert [row[0].strip() for row in rows][-1] == "result"
    assert all(len(row) == 3 for row in rows)


def _can_run(command: list[str], **options: Any) -> bool:
    """Return whether another user can run a command."""
    try:
        done = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False, **options
        )
    except OSError:
        return False
    return done.returncode == 0


def _linked(source: Path, target: Path, *left_out: str) -> None:
    """Copy a folder by hard links, which take no time and no space, where the file system has them. Bytecode comes
    along: the other user could not keep what it compiles.
    """

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link, symlinks=True, ignore=shutil.ignore_patterns(*left_out))


@dataclass(frozen=True)
class _Installation:
    """What another user needs to run the command: an interpreter, its packages, and the tree."""

    python: Path
    tree: Path
    environment: dict[str, str] = field(default_factory=dict)


def _installation_for_others(folder: Path) -> _Installation:
    """Return this one, or a copy where this one lies in a folder that is closed to others, as root's home is."""
    importing = "import darkroom, pydantic, sys; assert darkroom.__file__.startswith(sys.argv[1])"
    if _can_run([sys.executable, "-c", importing, str(ROOT)], cwd="/"):
        return _Installation(Path(sys.executable), ROOT)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base, environment = folder / "python", {"LD_LIBRARY_PATH": str(folder / "python" / "lib")}
    (base / "bin").mkdir(parents=True)
    _linked(Path(sys.base_prefix, "lib"), base / "lib", "site-packages", "test", "idlelib", "*.a")
    shutil.copy2(Path(sys.executable).resolve(), base / "bin" / version)
    subprocess.run(
        [base / "bin" / version, "-m", "venv", "--without-pip", folder / "venv"],
        env={**os.environ, **environment},
        check=True,
    )
    packages = folder / "venv" / "lib" / version / "site-packages"
    packages.rmdir()
    _linked(Path(sysconfig.get_path("purelib")), packages, "__editable__*")
    for program in Path(sysconfig.get_path("scripts")).iterdir():
        # Of the scripts each names the interpreter that it was made for.
        if program.is_file() and not program.is_symlink() and program.read_bytes()[:2] != b"#!":
            shutil.copy2(program, folder / "venv" / "bin")
    tree = _copy_of_the_tree(folder / "tree")
    (packages / "tree.pth").write_text(f"{tree}\n")
    return _Installation(folder / "venv" / "bin" / "python", tree, environment)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
def test_the_demo_runs_as_another_user_who_owns_nothing_of_the_tree(folder: Path) -> None:
    installed = _installation_for_others(folder / "installed")
    importing = [str(installed.python), "-c", "import darkroom, pydantic"]
    environment = _environment(**installed.environment, HOME="/nonexistent")
    assert _can_run(importing, cwd=installed.tree, env=environment), "the copy can be run by another user"
    own = folder / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    options = ("--data", str(own / "data"), "--out", str(own / "out"))
    done = _run("demo", *options, cwd=installed.tree, environment=environment, user=NOBODY, python=installed.python)
    _check_demo(done, own / "out")


def _without_capabilities() -> list[str]:
    """Return the command that takes root's right to write everywhere from a program, where tests run as root."""
    if os.geteuid() != 0:
        return []
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("as root, this needs setpriv (Debian's util-linux)")
    return [program, "--bounding-set=-all", "--inh-caps=-all"]


def test_up_runs_from_a_read_only_tree_with_its_data_elsewhere(folder: Path) -> None:
    clone, data = _copy_of_the_tree(folder / "tree"), folder / "data"
    data.mkdir()
    subprocess.run(["chmod", "-R", "a-w", clone], check=True)
    python = [*_without_capabilities(), sys.executable]
    refused = subprocess.run(
        [*python, "-m", "darkroom.cli", "up", "--free-ports"],
        cwd=clone,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "--data" in refused.stderr

    stack = RunningStack(data=data, cwd=clone, program=(*python, "-m", "darkroom.cli"), environment=PROXY)
    try:
        stack.start()
        picture, small = folder / "picture.jpg", folder / "small.png"
        picture.write_bytes(make_photograph(400, 300))
        arguments = ("submit", str(picture), "resize", "--width", "100", "-o", str(small), "--data", str(data))
        done = _run(*arguments, cwd=folder, environment=PROXY)
        assert done.returncode == 0, done.stderr
        assert probe(small.read_bytes(), Limits()).width == 100
        status = _run("status", "--data", str(data), cwd=folder, environment=PROXY)
        assert status.returncode == 0, status.stderr
        assert "server\tnats\t" in status.stdout
        assert stack.stop() == 0
    finally:
        stack.kill()
