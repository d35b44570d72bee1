"""The console as a child process, started on the first request and again should it have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from darkroom.errors import DependencyUnavailableError
from darkroom.local.children import ports
from darkroom.local.children.logs import LineSink
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.processes import ManagedProcess, PythonModule, python_command
from darkroom.local.reporting import Report

STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 3.0
_ASKED_EVERY_S = 0.02
_NAME = "console"


@dataclass(kw_only=True)
class ConsoleProcess:
    write_plan: Callable[[], Path]
    """Writes the plan and returns its file."""
    env: Mapping[str, str]
    cwd: Path
    on_line: LineSink
    report: Report
    _process: ManagedProcess | None = None
    _port: int | None = None
    _is_closed: bool = False
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def address(self, http: aiohttp.ClientSession) -> str:
        """Return where the console listens, starting it if need be. Raises DependencyUnavailableError."""
        async with self._starting:
            if self._is_closed:
                raise DependencyUnavailableError(_NAME, "the runtime is stopping")
            if self.pid is None:
                await self._start(http)
            return f"http://{LOOPBACK}:{self._port}"

    async def close(self) -> None:
        self._is_closed = True
        if self._process is not None:
            await self._process.stop(grace_s=STOPS_WITHIN_S)
        self._release()

    async def _start(self, http: aiohttp.ClientSession) -> None:
        self._release()
        began = time.monotonic()
        self._port = ports.free_port()
        plan = await asyncio.to_thread(self.write_plan)
        module = PythonModule(
            module="darkroom.local.console", arguments=(str(plan), str(self._port)), env=self.env, cwd=self.cwd
        )
        self._process = await ManagedProcess.start(_NAME, python_command(module), on_line=self.on_line)
        await self._wait_until_ready(self._process, http)
        self.report("console.started", pid=self._process.pid, ready_s=round(time.monotonic() - began, 3))

    async def _wait_until_ready(self, process: ManagedProcess, http: aiohttp.ClientSession) -> None:
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while not await self._answers(http):
                    if process.returncode is not None:
                        last = next((line for line in reversed(process.last_lines) if line.strip()), "it said nothing")
                        raise DependencyUnavailableError(_NAME, f"does not start: {last.strip()}")
                    await asyncio.sleep(_ASKED_EVERY_S)
        except TimeoutError:
            await process.kill()
            raise DependencyUnavailableError(_NAME, f"did not answer within {STARTS_WITHIN_S:g} s") from None
        except asyncio.CancelledError:
            await process.kill()
            raise

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"http://{LOOPBACK}:{self._port}/console/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _release(self) -> None:
        if self._port is not None:
            ports.release(self._port)
            self._port = None
