from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from darkroom.local.children.processes import GUARD
from tests.integration.local.waiting import is_running, until

SUPERVISOR = """
import os, subprocess, sys
guard, mode, program, *arguments = sys.argv[1:]
child = subprocess.Popen([sys.executable, "-P", guard, str(os.getpid()), mode, program, *arguments])
print("child", child.pid, flush=True)
child.wait()
"""
FORKING_MODULE = """
import os, time
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        print("grandchild", os.getpid(), flush=True)
    else:
        print("forked", os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisors() -> Iterator[list[subprocess.Popen[str]]]:
    """Supervisors started by a test. They are killed at the end, and so are their children if the guard works."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for supervisor in started:
        supervisor.kill()
        supervisor.communicate()


def start_supervisor(started: list[subprocess.Popen[str]], *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(GUARD), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(cwd)},
    )
    started.append(supervisor)
    return supervisor


def read_pids(supervisor: subprocess.Popen[str], count: int) -> dict[str, int]:
    assert supervisor.stdout is not None
    lines = [supervisor.stdout.readline().split() for _ in range(count)]
    return {name: int(pid) for name, pid in lines}


async def gone(pids: dict[str, int]) -> None:
    await until(lambda: not any(map(is_running, pids.values())), f"{pids} are gone")


async def test_a_native_program_dies_when_its_supervisor_is_killed(
    supervisors: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervisor = start_supervisor(supervisors, "exec", "/bin/sleep", "600", cwd=tmp_path)
    pids = read_pids(supervisor, 1)
    assert is_running(pids["child"])

    supervisor.kill()

    await gone(pids)


async def test_forked_workers_and_their_children_die_when_the_supervisor_is_killed(
    supervisors: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "forking_module.py").write_text(FORKING_MODULE)
    supervisor = start_supervisor(supervisors, "python", "forking_module", cwd=tmp_path)
    pids = read_pids(supervisor, 3)
    assert sorted(pids) == ["child", "forked", "grandchild"]
    assert all(map(is_running, pids.values()))

    supervisor.kill()

    await gone(pids)


def test_a_child_whose_parent_died_before_the_guard_ran_does_not_start(tmp_path: Path) -> None:
    # Nobody's parent has this id: as if the parent had died and another had adopted us.
    ended = subprocess.run([sys.executable, str(GUARD), "1234567", "exec", "/bin/echo", "started"], capture_output=True)

    assert ended.returncode == -9
    assert ended.stdout == b""


def test_a_module_does_not_see_the_guards_neighbours_as_modules_of_its_own(
    supervisors: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    program = """
        import importlib.util, time
        print("shadowed", int(importlib.util.find_spec("servers") is not None), flush=True)
        time.sleep(600)
    """
    (tmp_path / "looking_module.py").write_text(textwrap.dedent(program))
    supervisor = start_supervisor(supervisors, "python", "looking_module", cwd=tmp_path)

    assert read_pids(supervisor, 2)["shadowed"] == 0


async def test_nothing_of_a_whole_runtime_is_left_when_its_supervisor_is_killed(
    supervisors: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervisor = start_program(supervisors, "tests.integration.local.supervisor_program", str(tmp_path))
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "up\n"
    # Three servers, two gunicorn masters, two workers each; a script with its guard and two children.
    await until(lambda: len(descendants(supervisor.pid)) >= 13, "all run")
    pids = descendants(supervisor.pid)

    supervisor.kill()

    await gone(pids)


def start_program(started: list[subprocess.Popen[str]], module: str, argument: str) -> subprocess.Popen[str]:
    program = subprocess.Popen([sys.executable, "-m", module, argument], stdout=subprocess.PIPE, text=True)
    started.append(program)
    return program


def descendants(pid: int) -> dict[str, int]:
    return {f"{child.name()} {child.pid}": child.pid for child in psutil.Process(pid).children(recursive=True)}
