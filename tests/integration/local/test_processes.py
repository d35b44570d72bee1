from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from darkroom.local.children.processes import ManagedProcess, native_command
from tests.integration.local.waiting import is_running, until

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = os.fork()
if worker:
    print("worker", worker, flush=True)
time.sleep(600)
"""


async def start_python(program: str, lines: list[str], cwd: Path) -> ManagedProcess:
    command = native_command(sys.executable, "-c", program, env={"GIVEN": "yes"}, cwd=cwd)
    return await ManagedProcess.start("child", command, on_line=lines.append)


async def test_every_line_of_both_outputs_is_read_before_the_end_is_reported(tmp_path: Path) -> None:
    program = """
import os, sys
print(os.environ["GIVEN"], flush=True)
sys.stderr.write("second\\nthird without an end")
sys.exit(3)
"""
    lines: list[str] = []

    process = await start_python(program, lines, tmp_path)

    assert await process.wait() == 3
    assert lines == ["yes", "second", "third without an end"]
    assert list(process.last_lines) == lines


async def test_nothing_of_our_environment_reaches_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    lines: list[str] = []

    process = await start_python("import os; print(sorted(os.environ))", lines, tmp_path)
    await process.wait()

    assert "GIVEN" in lines[0]
    assert "SECRET_OF_OURS" not in lines[0]


async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace_with_its_workers(tmp_path: Path) -> None:
    lines: list[str] = []
    process = await start_python(STUBBORN, lines, tmp_path)
    await until(lambda: bool(lines), "the worker is named")
    worker = int(lines[0].split()[1])

    assert await process.stop(grace_s=0.2) == -signal.SIGKILL

    await until(lambda: not is_running(process.pid) and not is_running(worker), "child and worker are gone")


async def test_the_workers_of_a_child_that_died_are_killed_too(tmp_path: Path) -> None:
    lines: list[str] = []
    process = await start_python(STUBBORN, lines, tmp_path)
    await until(lambda: bool(lines), "the worker is named")
    worker = int(lines[0].split()[1])

    process.send_signal(signal.SIGKILL)
    await process.wait()

    await until(lambda: not is_running(worker), "the worker is gone")


async def test_a_stop_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    lines: list[str] = []
    process = await start_python(STUBBORN, lines, tmp_path)
    await until(lambda: bool(lines), "the worker is named")

    stopping = asyncio.create_task(process.stop(grace_s=600))
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait([stopping])

    await process.wait()
    assert not is_running(process.pid)


async def test_the_child_leads_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    lines: list[str] = []
    process = await start_python("import os; print(os.getsid(0), os.getpgid(0))", lines, tmp_path)
    await process.wait()

    assert lines == [f"{process.pid} {process.pid}"]
