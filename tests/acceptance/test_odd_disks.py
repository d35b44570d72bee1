"""A source tree that is read-only, and a data folder whose disk is small or full. Needs root, to mount file systems."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.stack import RunningStack, eventually, refused_up, running_stack, write_function

pytestmark = pytest.mark.slow

FUNCTION = """
import functions_framework

@functions_framework.http
def handle(request):
    return "hello"
"""
MIB = 1 << 20


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A mount of the test's own; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting needs root and its capabilities: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def greeting(stack: RunningStack) -> str:
    return httpx.get(stack.addresses["api"], headers={"Host": "hello.default.localhost"}, timeout=60).text


def test_a_read_only_source_tree_runs_with_its_data_elsewhere(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_function(source, "hello", FUNCTION)
    with mounted(tmp_path / "mounted", "--bind", "-o", "ro", str(source)) as project:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(project)], check=True)
        with running_stack(tmp_path / "data", cwd=project) as stack:
            assert greeting(stack) == "hello"
            assert "Traceback" not in stack.log.read_text()
        refused = refused_up(project)
    assert "cannot be made: Read-only file system; choose another folder with --data" in refused


def test_a_disk_that_is_too_small_is_one_sentence_and_nothing_starts(tmp_path: Path) -> None:
    write_function(tmp_path, "hello", FUNCTION)
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=24m", "tmpfs") as small:
        refused = refused_up(tmp_path, "--data", str(small / "data"))
        assert f"the disk of {small / 'data'} is full: " in refused
        assert [path.name for path in (small / "data").iterdir()] == ["lock"]


def test_a_disk_that_fills_up_is_reported_and_shown_and_so_is_its_end(tmp_path: Path) -> None:
    write_function(tmp_path, "hello", FUNCTION)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m", "tmpfs") as disk:
        with running_stack(disk / "data", cwd=tmp_path) as stack:
            fill(disk / "filling")
            eventually(lambda: stack.events(action="disk.full"), within_s=30, what="it is reported")
            assert "is full: " in stack.status()["data"]["state"]
            assert ["is full: " in state for state in states(stack)] == [True]

            (disk / "filling").unlink()
            eventually(lambda: stack.events(action="disk.has_room"), within_s=30, what="it has room again")
            eventually(
                lambda: [server["state"] for server in stack.status()["servers"]] == ["up"],
                within_s=60,
                what="NATS is up",
            )
            assert greeting(stack) == "hello"
            assert "Traceback" not in stack.log.read_text()
        shutil.rmtree(disk / "data")


def states(stack: RunningStack) -> list[str]:
    return [server["state"] for server in stack.status()["servers"]]


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened, suppress(OSError):
        while opened.write(bytes(MIB)):
            pass
