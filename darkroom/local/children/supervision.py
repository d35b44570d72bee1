"""Keeps a native server alive: starts it, watches it, restarts it when it dies or hangs, and stops it.

The servers themselves (command lines, readiness) are defined in `servers`; function processes are `instances`.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from darkroom.errors import DependencyUnavailableError
from darkroom.local.children import ports
from darkroom.local.children.backoff import Backoff
from darkroom.local.children.health import InconclusiveError
from darkroom.local.children.logs import LineSink
from darkroom.local.children.processes import Command, ManagedProcess
from darkroom.local.errors import StartFailedError
from darkroom.local.reporting import Report
from darkroom.redaction import redacted

READY_POLL_S = 0.005
"""How often we check whether a server is ready; a longer interval would add to the startup time."""
CHECK_TIMEOUT_S = 5.0
_LATENESS_MEASURED_EVERY_S = 0.05
_MOST_LATE_SHARE = 0.3
"""A check during which our event loop stood still for more than this share of the time says nothing of the server."""
_LEAST_FREE_BYTES = 1024 * 1024
"""Where a disk has less, a server that cannot write is not at fault, and a restart would not help it."""


class Server(Protocol):
    """A server that we run, or an external one."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    async def start(self) -> None:
        """Start the server; returns once it answers. Raises LocalRuntimeError, leaving nothing running."""

    async def check(self) -> None:
        """Raise DependencyUnavailableError if the server does not answer."""

    async def stop(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ServerPlan:
    """What supervision needs to know about a server. Its ports stay the same across restarts."""

    name: str
    url: str
    command: Command
    ports: tuple[int, ...]
    check: Callable[[], Awaitable[None]]
    """Raises DependencyUnavailableError until the server works."""
    monitor_url: str = ""
    """The server's HTTP monitoring address, if it has one."""
    before_start: Callable[[], None] = lambda: None
    after_stop: Callable[[], None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks the server to end soon."""


@dataclass(frozen=True, kw_only=True)
class SupervisionTimeouts:
    """The intervals and timeouts of supervision."""

    ready_s: float = 30.0
    stop_s: float = 10.0
    check_every_s: float = 3.0
    check_timeout_s: float = CHECK_TIMEOUT_S
    unhealthy_after_s: float = 5.0
    """After this long without an answer, the server is reported as unhealthy."""
    hung_after_s: float = 30.0
    """After this long without an answer, it is killed and restarted. Under full load, a machine is slow, not dead, and
    time in which we could not ask does not count.
    """


@dataclass(kw_only=True)
class SupervisedServer:
    """A server that we run and keep alive."""

    plan: ServerPlan
    on_line: LineSink
    report: Report
    timeouts: SupervisionTimeouts = field(default_factory=SupervisionTimeouts)
    backoff: Backoff = field(default_factory=Backoff)
    restarts: int = 0
    _process: ManagedProcess | None = None
    _supervisor: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def url(self) -> str:
        return self.plan.url

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        for port in self.plan.ports:
            ports.require_free(port)
        ready_s = await self._launch()
        self.report("server.started", server=self.name, url=redacted(self.url), pid=self.pid, ready_s=ready_s)
        self._supervisor = asyncio.create_task(self._supervise(), name=f"{self.name}: supervisor")

    async def check(self) -> None:
        await _check_in_time(self.name, self.plan.check, self.timeouts.check_timeout_s)

    async def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._process is not None:
            await self._process.stop(grace_s=self.timeouts.stop_s, by=self.plan.stop_signal)
            self._process = None
            self.plan.after_stop()
            self.report("server.stopped", server=self.name)

    async def _launch(self) -> float:
        """Start the process; returns the seconds until its first answer."""
        self.plan.before_start()
        began = time.monotonic()
        process = await ManagedProcess.start(self.name, self.plan.command, on_line=self.on_line)
        try:
            await self._wait_until_ready(process)
        except BaseException:
            await process.kill()
            raise
        self._process = process
        return time.monotonic() - began

    async def _wait_until_ready(self, process: ManagedProcess) -> None:
        deadline = time.monotonic() + self.timeouts.ready_s
        while True:
            try:
                return await _check_in_time(self.name, self.plan.check, self.timeouts.check_timeout_s)
            except DependencyUnavailableError as error:
                if process.returncode is not None:
                    await process.wait()
                    detail = f"{self.name} ended with {process.returncode} before it was ready"
                    raise StartFailedError(detail, last_lines=process.last_lines) from error
                if time.monotonic() > deadline:
                    detail = f"{self.name} did not answer within {self.timeouts.ready_s:g} s: {error.detail}"
                    raise StartFailedError(detail, last_lines=process.last_lines) from error
            await asyncio.sleep(READY_POLL_S)

    async def _supervise(self) -> None:
        while True:
            if self._process is not None:
                await self._wait_until_dead(self._process)
            delay_s = self._count_death()
            await asyncio.sleep(delay_s)
            await self._restart()

    async def _wait_until_dead(self, process: ManagedProcess) -> None:
        health = asyncio.create_task(self._kill_when_hung(process), name=f"{self.name}: health")
        try:
            await process.wait()
        finally:
            health.cancel()
            await asyncio.wait([health])

    async def _kill_when_hung(self, process: ManagedProcess) -> None:
        silence = _Silence()
        unhealthy = False
        while True:
            began = time.monotonic()
            try:
                async with _conclusive(self.name, self.plan.command.cwd):
                    await asyncio.sleep(self.timeouts.check_every_s)
                    await self.check()
            except InconclusiveError as error:
                self._report_unknown(silence, error)
                continue
            except DependencyUnavailableError as error:
                silence.lasted_s += time.monotonic() - began
                if silence.lasted_s >= self.timeouts.unhealthy_after_s and not unhealthy:
                    unhealthy = True
                    self.report("server.unhealthy", server=self.name, silent_s=silence.lasted_s, detail=error.detail)
                if silence.lasted_s >= self.timeouts.hung_after_s:
                    self.report("server.hung", server=self.name, silent_s=silence.lasted_s, pid=process.pid)
                    await process.kill()
                continue
            if unhealthy or silence.is_unknown:
                unhealthy = False
                self.report("server.recovered", server=self.name)
            silence = _Silence()

    def _report_unknown(self, silence: _Silence, error: InconclusiveError) -> None:
        """Report once that nothing is known of the server. It is not killed for that."""
        if not silence.is_unknown:
            silence.is_unknown = True
            self.report("server.unknown", server=self.name, detail=error.detail)

    def _count_death(self) -> float:
        process, self._process = self._process, None
        uptime_s = 0.0 if process is None else process.uptime_s
        delay_s = self.backoff.next_delay_s(uptime_s=uptime_s)
        if process is not None:
            self.report(
                "server.died",
                server=self.name,
                returncode=process.returncode,
                uptime_s=uptime_s,
                restart_in_s=delay_s,
                last_lines=list(process.last_lines)[-3:],
            )
        return delay_s

    async def _restart(self) -> None:
        try:
            ready_s = await self._launch()
        except StartFailedError as error:
            self.report("server.restart_failed", server=self.name, detail=error.detail)
            return
        self.restarts += 1
        self.report("server.restarted", server=self.name, pid=self.pid, ready_s=ready_s, restarts=self.restarts)


@dataclass(kw_only=True)
class ExternalServer:
    """A server that somebody else runs: only checked, never started or stopped."""

    name: str
    url: str
    probe: Callable[[], Awaitable[None]]
    report: Report

    async def start(self) -> None:
        await self.check()
        self.report("server.found", server=self.name, url=redacted(self.url))

    async def check(self) -> None:
        await _check_in_time(self.name, self.probe, CHECK_TIMEOUT_S)

    async def stop(self) -> None:
        """Do nothing: the server is not ours to stop."""


@dataclass(kw_only=True)
class _Silence:
    """How long a server has not answered."""

    lasted_s: float = 0.0
    """Only the time in which it could have answered."""
    is_unknown: bool = False
    """Whether it was reported that nothing can be known."""


@asynccontextmanager
async def _conclusive(name: str, folder: Path) -> AsyncIterator[None]:
    """Raise InconclusiveError in place of a failed check's error, if the failure may be our own want of processor time
    or disk.
    """
    began, late_s = time.monotonic(), 0.0

    async def measure() -> None:
        nonlocal late_s
        while True:
            due = time.monotonic() + _LATENESS_MEASURED_EVERY_S
            await asyncio.sleep(_LATENESS_MEASURED_EVERY_S)
            late_s += time.monotonic() - due

    measuring = asyncio.create_task(measure(), name=f"{name}: lateness")
    try:
        yield
    except InconclusiveError:
        raise
    except DependencyUnavailableError as error:
        lasted_s = time.monotonic() - began
        if late_s > _MOST_LATE_SHARE * lasted_s:
            raise InconclusiveError(
                name, f"this process got no processor for {late_s:.1f} of {lasted_s:.1f} s"
            ) from error
        if shutil.disk_usage(folder).free < _LEAST_FREE_BYTES:
            raise InconclusiveError(name, f"the disk of {folder} is full") from error
        raise
    finally:
        measuring.cancel()


async def _check_in_time(name: str, check: Callable[[], Awaitable[None]], timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await check()
    except TimeoutError as error:
        raise DependencyUnavailableError(name, f"no answer in {timeout_s:g} s") from error


async def start_all(servers: Sequence[Server]) -> None:
    """Start servers concurrently. If one fails, stop the others and raise its error."""
    results = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        await stop_all(servers)
        raise failures[0]


async def stop_all(servers: Sequence[Server]) -> None:
    await asyncio.gather(*(server.stop() for server in servers))
