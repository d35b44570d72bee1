"""Instances that are forked from a process with their libraries loaded, and what happens where that is not possible."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from darkroom.local.children import zygote
from darkroom.local.children.fork_server import ForkServer
from darkroom.local.children.processes import ManagedProcess, PythonModule
from tests.integration.local.waiting import is_running, until

PROJECT = Path(zygote.__file__).parents[3]
PRELOAD = "darkroom.pipeline:extension.preload"
PROGRAM = """
import os, sys, threading
print("env", sorted(os.environ.keys() - {"LC_CTYPE"}))  # which Python sets itself (PEP 538)
print("place", os.getcwd(), sys.argv[1:], __name__)
print("loaded", "functions_framework" in sys.modules, "pyvips" in sys.modules)
print("standard input", repr(sys.stdin.read()))
sys.stderr.write("to the error output\\n")
sys.exit(3)
"""
ALLOCATING = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use(size):
    place = libc.malloc(size)
    libc.memset(place, 1, size)
    libc.free(place)
use(2**20)
before = faults()
for _ in range(10):
    use(2**20)
print(faults() - before)
"""
LONG_LIVED = """
import os, time
worker = os.fork()
if worker:
    print("worker", worker)
time.sleep(600)
"""


class Forks:
    def __init__(self, folder: Path, server: ForkServer, log: list[str], reports: list[str]) -> None:
        self.folder = folder
        self.server = server
        self.log = log
        self.reports = reports
        self.started: list[ManagedProcess] = []

    def zygotes(self) -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if "darkroom.local.children.zygote" in child.cmdline()]

    async def until_ready(self) -> None:
        await until(lambda: self.server.is_ready, "the fork server is ready")

    async def start(
        self, program: str, lines: list[str], *arguments: str, env: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        name = f"program_{zlib.crc32(program.encode())}"
        path = self.folder / f"{name}.py"
        if not path.exists():
            path.write_text(program)
        module = PythonModule(
            module=name,
            arguments=arguments,
            env={**interpreter_env(self.folder), **(env or {})},
            cwd=self.folder,
        )
        process = await self.server.start_process("child", module, on_line=lines.append)
        self.started.append(process)
        return process

    async def start_long_lived(self) -> tuple[ManagedProcess, int]:
        lines: list[str] = []
        process = await self.start(LONG_LIVED, lines)
        await until(lambda: bool(lines), "the worker is named")
        return process, int(lines[0].split()[1])


def interpreter_env(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@asynccontextmanager
async def forks(folder: Path) -> AsyncIterator[Forks]:
    log: list[str] = []
    reports: list[str] = []

    def report(action: str, /, **_: Any) -> None:
        reports.append(action)

    server = ForkServer(env=interpreter_env(folder), cwd=folder, preload=[PRELOAD], on_line=log.append, report=report)
    server.start()
    running = Forks(folder, server, log, reports)
    try:
        yield running
    finally:
        await server.close()
        for process in running.started:
            await process.kill()


def parent_of(process: ManagedProcess) -> int:
    return psutil.Process(process.pid).ppid()


async def test_a_forked_program_is_as_if_a_new_interpreter_had_started_it(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        lines: list[str] = []
        process = await running.start(PROGRAM, lines, "one", "two", env={"GIVEN": "yes"})
        assert await process.wait() == 3
    assert lines == [
        "env ['GIVEN', 'PYTHONDONTWRITEBYTECODE', 'PYTHONPATH', 'PYTHONUNBUFFERED']",
        f"place {tmp_path} ['one', 'two'] __main__",
        "loaded True False",
        "standard input ''",
        "to the error output",
    ]
    assert running.reports == []
    assert running.log == []


@pytest.mark.parametrize(("threshold", "is_kept"), [(None, True), (str(2**23), True), (str(2**16), False)])
async def test_a_forked_program_gives_memory_back_as_its_environment_says(
    tmp_path: Path, threshold: str | None, is_kept: bool
) -> None:
    """glibc reads it when a program starts; the zygote applies it again. A page that was returned costs a fault."""
    async with forks(tmp_path) as running:
        await running.until_ready()
        lines: list[str] = []
        env = {"MALLOC_MMAP_THRESHOLD_": threshold, "MALLOC_TRIM_THRESHOLD_": threshold} if threshold else {}
        process = await running.start(ALLOCATING, lines, env=env)
        assert await process.wait() == 0, lines

    pages = 10 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    assert (int(lines[0]) < pages // 2) == is_kept, lines


async def test_a_forked_program_is_a_child_of_the_zygote_and_leads_its_own_group(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        [zygote] = running.zygotes()
        process, worker = await running.start_long_lived()
        assert parent_of(process) == zygote.pid
        assert running.server.pids == [zygote.pid]
        assert os.getpgid(process.pid) == process.pid
        assert psutil.Process(process.pid).name() == "child"
        assert await process.stop(grace_s=5) == -signal.SIGTERM
        await until(lambda: not is_running(worker), "the worker is gone with its group")
        assert zygote.is_running()


async def test_until_it_is_ready_new_interpreters_are_started(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        process, _ = await running.start_long_lived()
        assert parent_of(process) == os.getpid()
        await process.kill()


async def test_another_interpreter_environment_gets_an_interpreter_of_its_own(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        lines: list[str] = []
        process = await running.start(PROGRAM, lines, env={"PYTHONHASHSEED": "7"})
        await process.wait()
        assert lines[2] == "loaded False False"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills a child with its parent")
async def test_what_was_forked_dies_with_the_zygote_and_the_next_one_takes_over(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        [first] = running.zygotes()
        process, worker = await running.start_long_lived()
        first.kill()
        assert await process.wait() == -signal.SIGKILL
        await until(lambda: not is_running(worker), "the worker is gone")
        at_once, _ = await running.start_long_lived()
        assert parent_of(at_once) == os.getpid()
        await at_once.kill()
        await running.until_ready()
        later, _ = await running.start_long_lived()
        [second] = running.zygotes()
        assert parent_of(later) == second.pid != first.pid
        assert "fork_server.died" in running.reports


async def test_an_edited_module_is_seen_by_the_next_instance_and_costs_the_others_nothing(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "darkroom", tmp_path / "darkroom", ignore=shutil.ignore_patterns("__pycache__"))
    async with forks(tmp_path) as running:
        await running.until_ready()
        [first] = running.zygotes()
        before, _ = await running.start_long_lived()
        edited = tmp_path / "darkroom" / "contract" / "jobs.py"
        edited.write_text(edited.read_text() + "\nEDITED = True\n")

        lines: list[str] = []
        process = await running.start("import darkroom.contract.jobs as jobs; print(jobs.EDITED)", lines)
        await process.wait()
        assert lines == ["True"]
        assert running.reports == ["fork_server.replaced"]

        await running.until_ready()
        after, _ = await running.start_long_lived()
        assert parent_of(after) != first.pid
        assert is_running(before.pid)
        await before.kill()
        await until(lambda: not first.is_running(), "the retired zygote ends with its last child")


async def test_closing_ends_everything(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        process, worker = await running.start_long_lived()
        await running.server.close()
        assert await process.wait() == -signal.SIGKILL
        await until(lambda: not is_running(worker), "the worker is gone")
        assert running.zygotes() == []


async def test_ten_forks_at_once_are_not_confused(tmp_path: Path) -> None:
    async with forks(tmp_path) as running:
        await running.until_ready()
        outputs: list[list[str]] = [[] for _ in range(10)]
        program = "import sys, os; print(sys.argv[1], os.getpid()); sys.exit(int(sys.argv[1]))"
        processes = [await running.start(program, lines, str(number)) for number, lines in enumerate(outputs)]
        assert [await process.wait() for process in processes] == list(range(10))
        assert outputs == [[f"{number} {process.pid}"] for number, process in enumerate(processes)]


async def test_where_the_libraries_cannot_be_loaded_instances_start_without_it(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.py").write_text("raise RuntimeError('no such luck')")
    async with forks(tmp_path) as running:
        await until(lambda: "fork_server.unavailable" in running.reports, "it says so")
        process, _ = await running.start_long_lived()
        assert parent_of(process) == os.getpid()
        await process.kill()
        assert running.reports == ["fork_server.unavailable"]
