"""Builds programs before they are started: once for each revision, whose code does not change."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import defaultdict
from pathlib import Path

from darkroom.local.children.logs import LineSink
from darkroom.local.children.processes import ManagedProcess, group_command
from darkroom.local.errors import StartFailedError
from darkroom.local.revisions.launching.launch import Build
from darkroom.manifests.revision import Revision


class Builds:
    def __init__(self) -> None:
        self._locks: dict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._built: dict[tuple[str, ...], int] = {}

    async def build(self, revision: Revision, build: Build, on_line: LineSink) -> None:
        """Run the build of a revision, unless it has been run. Raises StartFailedError with the compiler's output."""
        async with self._locks[build.argv]:
            if self._built.get(build.argv) == revision.number:
                return
            await _run(f"{revision.name}: build", build, on_line)
            self._built[build.argv] = revision.number


async def _run(name: str, build: Build, on_line: LineSink) -> None:
    program = shutil.which(build.argv[0], path=os.environ.get("PATH"))
    if program is None:
        raise StartFailedError(f"{build.argv[0]} is not on PATH")
    # The user's own environment: compilers keep their caches in the home folder.
    command = group_command(Path(program), *build.argv[1:], env=os.environ, cwd=build.cwd)
    process = await ManagedProcess.start(name, command, on_line=on_line)
    try:
        async with asyncio.timeout(build.timeout_s):
            status = await process.wait()
    except TimeoutError as exc:
        raise StartFailedError(f"{name} took more than {build.timeout_s:g} s", last_lines=process.last_lines) from exc
    finally:
        await process.kill()
    if status != 0:
        raise StartFailedError(f"{name} ended with {status}", last_lines=process.last_lines)
