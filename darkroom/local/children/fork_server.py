"""Starts function instances by forking them from a process that has loaded their libraries (`zygote`).

A new interpreter needs half a second of CPU time for the imports that all functions share, and a burst from zero starts
ten at once. Forking is an optimisation only: if the zygote is not ready, its modules have changed, or the instance
needs another environment for its interpreter, a new interpreter is started instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from darkroom.local.children.logs import LineSink
from darkroom.local.children.processes import ManagedProcess, PythonModule, python_command
from darkroom.local.children.zygote import MALLOC_OPTIONS
from darkroom.local.children.zygote_handle import CannotForkError, EnvironmentConflictError, Zygote
from darkroom.local.reporting import Report

RESTART_PAUSE_S = 1.0
_READ_AT_EXEC = ("PYTHON", "LD_", "LANG", "LC_", "LOCPATH", "MALLOC_", "GLIBC_", "OPENSSL_", "RUST_", "TOKIO_")
"""Prefixes of variables that only take effect when a program starts with them, or when a native library that the
zygote has loaded is first used. `zygote` itself notices what Python modules read.
"""
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""In either case. The storage's client, which the zygote has used once, may keep them."""


class ForkServer:
    """Forks processes from one current zygote. A zygote with outdated modules lives on until its last child ends."""

    def __init__(
        self,
        *,
        env: Mapping[str, str],
        cwd: Path,
        on_line: LineSink,
        report: Report,
        preload: Sequence[str] = (),
    ) -> None:
        """`preload` lists functions that import the functions' libraries, as `package.module:function`."""
        self._env = dict(env)
        self._cwd = cwd
        self._preload = tuple(preload)
        self._on_line = on_line
        self._report = report
        self._zygote: Zygote | None = None
        self._retired: set[Zygote] = set()
        self._starting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_ready(self) -> bool:
        return self._zygote is not None

    @property
    def pids(self) -> list[int]:
        """Return the pids of the zygotes, without those of the processes forked from them."""
        zygotes = [*self._retired, *([self._zygote] if self._zygote else [])]
        return [zygote.pid for zygote in zygotes if zygote.is_alive]

    def start(self) -> None:
        """Start a zygote in the background. Until it is ready, instances start without it."""
        if not self._closed and (self._starting is None or self._starting.done()):
            self._starting = asyncio.create_task(self._start(), name="fork-server")

    async def close(self) -> None:
        """End the zygotes and everything forked from them."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        zygotes = [*self._retired, *([self._zygote] if self._zygote else [])]
        self._zygote = None
        await asyncio.gather(*(zygote.close() for zygote in zygotes))

    async def start_process(self, name: str, program: PythonModule, *, on_line: LineSink) -> ManagedProcess:
        try:
            return await self._fork(name, program, on_line)
        except CannotForkError:
            return await ManagedProcess.start(name, python_command(program), on_line=on_line)

    async def _fork(self, name: str, program: PythonModule, on_line: LineSink) -> ManagedProcess:
        zygote = self._zygote
        if zygote is None or _variables_read_at_exec(program.env) != _variables_read_at_exec(self._env):
            raise CannotForkError
        try:
            return await zygote.fork(name, program, on_line)
        except EnvironmentConflictError:
            raise
        except CannotForkError:
            if self._zygote is zygote:
                self._zygote = None
                self._retire(zygote)
            raise

    def _retire(self, zygote: Zygote) -> None:
        """Let its children run on, and start a new zygote for the next forks."""
        if not zygote.is_alive:
            return
        self._report("fork_server.replaced")
        self._retired.add(zygote)
        zygote.close_after_last_child()
        self.start()

    async def _start(self) -> None:
        program = PythonModule(
            module="darkroom.local.children.zygote", arguments=self._preload, env=self._env, cwd=self._cwd
        )
        zygote = await Zygote.start(program, on_line=self._on_line, on_end=self._zygote_ended)
        try:
            await zygote.ready.wait()
        except asyncio.CancelledError:
            await zygote.close()
            raise
        if zygote.is_alive:
            self._zygote = zygote
        else:
            # Not restarted: it would fail the same way again.
            self._report("fork_server.unavailable", said=zygote.last_line)

    def _zygote_ended(self, zygote: Zygote) -> None:
        self._retired.discard(zygote)
        if self._zygote is not zygote or self._closed:
            return
        self._zygote = None
        self._report("fork_server.died")
        asyncio.get_running_loop().call_later(RESTART_PAUSE_S, self.start)


def _variables_read_at_exec(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if _is_read_at_exec(name) and name not in MALLOC_OPTIONS}


def _is_read_at_exec(name: str) -> bool:
    return name.startswith(_READ_AT_EXEC) or name.upper() in _PROXIES
