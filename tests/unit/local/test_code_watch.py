from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from darkroom.local.revisions import code_watch
from darkroom.local.revisions.code_watch import fingerprint, pause_s, watch
from darkroom.local.revisions.launching import Watched
from darkroom.manifests.revision import ServiceKey

A, B = ("n", "a"), ("n", "b")


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["main.py", "inner/deep/module.py", "settings.toml", "page.j2", "lua/claim.lua"])
def test_source_code_is_watched_in_any_depth(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    assert list(fingerprint([tmp_path])) == [str(path)]


@pytest.mark.parametrize(
    "name",
    [
        "function.log",
        "out/result.json",
        "picture.png",
        "counter.txt",
        "core",
        "jobs.sqlite3-wal",
        "main.pyc",
        "main.py~",
        ".main.py.swp",
        ".#main.py",
        "#main.py#",
        "__pycache__/main.cpython-311.pyc",
        ".git/hooks/pre-commit.py",
        ".venv/lib/x.py",
        "venv/lib/x.py",
        "node_modules/left-pad/index.js",
        "lib/site-packages/x.py",
        "logs/x.py",
        ".mypy_cache/x.py",
        "data/x.py",
    ],
)
def test_what_a_function_or_a_tool_writes_is_no_code(name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    assert fingerprint([tmp_path], ignored=[tmp_path / "data"]) == {}


def test_a_virtual_environment_of_any_name_is_no_code(tmp_path: Path) -> None:
    write(tmp_path / "py311" / "pyvenv.cfg")
    write(tmp_path / "py311" / "lib" / "x.py")
    assert fingerprint([tmp_path]) == {}


def changes_seen(
    code: code_watch.Code, act: Callable[[], object], until: Callable[[list[set[ServiceKey]]], bool]
) -> list[set[ServiceKey]]:
    """What the watch reports from `act` on, until it is enough."""
    seen: list[set[ServiceKey]] = []

    async def on_change(services: set[ServiceKey]) -> None:
        seen.append(services)

    async def run() -> None:
        watching = asyncio.create_task(watch(lambda: code, on_change, poll_s=0.01, settle_s=0.01))
        try:
            deadline = time.monotonic() + 30
            acted = 0.0
            while not until(seen):
                assert time.monotonic() < deadline, seen
                if time.monotonic() - acted > 0.2:
                    act()  # again, in case the watch had not looked before
                    acted = time.monotonic()
                await asyncio.sleep(0.01)
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    asyncio.run(run())
    return seen


def test_a_change_concerns_the_services_that_use_the_folder(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "a"
    for folder in (shared, own):
        write(folder / "main.py", "1")
    code = {A: Watched(folders=(own, shared)), B: Watched(folders=(shared,))}
    only_a = changes_seen(code, lambda: write(own / "main.py", str(time.monotonic_ns())), lambda seen: len(seen) > 1)
    assert set(map(frozenset, only_a)) == {frozenset({A})}
    both = changes_seen(code, lambda: write(shared / "main.py", str(time.monotonic_ns())), lambda seen: bool(seen))
    assert both[0] == {A, B}


def test_a_folder_that_is_not_there_or_may_not_be_read_is_empty(tmp_path: Path) -> None:
    assert fingerprint([tmp_path / "none"]) == {}


def test_a_large_tree_is_looked_at_less_often_so_that_it_stays_cheap() -> None:
    assert pause_s(0.5, 0.001) == 0.5
    assert pause_s(0.5, 0.03) == pytest.approx(2.0), "0.03 s each 2 s is 1.5 % of a core"


def test_what_was_saved_before_the_first_look_was_over_has_changed_too(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write(tmp_path / name / "main.py")
    began_at = time.time()
    os.utime(tmp_path / "old" / "main.py", (began_at - 60, began_at - 60))
    os.utime(tmp_path / "new" / "main.py", (began_at + 1, began_at + 1))
    changed: list[set[ServiceKey]] = []

    async def on_change(services: set[ServiceKey]) -> None:
        changed.append(services)
        raise asyncio.CancelledError

    async def run() -> None:
        code = {A: Watched(folders=(tmp_path / "old",)), B: Watched(folders=(tmp_path / "new",))}
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(watch(lambda: code, on_change, began_at=began_at), 30)

    asyncio.run(run())
    assert changed == [{B}]
