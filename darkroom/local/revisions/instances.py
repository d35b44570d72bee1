"""One function process: started from a revision, ready when its probe succeeds, drained before it is stopped.

How it is started is found by `launching`. Where the project file names an address that already listens, the instance
has no process, and lasts as long as somebody listens there. `pool` decides how many instances there are, and
`activator` which of them gets a request.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from darkroom.local.children import ports
from darkroom.local.children.fork_server import ForkServer
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.processes import Command, ManagedProcess, PythonModule, group_command, python_command
from darkroom.local.errors import StartFailedError
from darkroom.local.revisions.launching import (
    AddressLaunch,
    Launch,
    Launcher,
    ModuleLaunch,
    NoLaunch,
    ProgramLaunch,
)
from darkroom.local.revisions.launching.building import Builds
from darkroom.local.revisions.launching.words import expand
from darkroom.local.revisions.queueing import has_room
from darkroom.local.revisions.readiness import Readiness, accepts
from darkroom.manifests.revision import ReadinessCheck, Revision
from darkroom.proxies import keep_loopback_direct

START_TIMEOUT_S = 60.0
ADDRESS_TIMEOUT_S = 1.0
"""How long an address must refuse before it counts as not served; it is somebody else who would have to start it."""
ADDRESS_CHECKED_EVERY_S = 1.0
PROBE_PERIOD_S = 10.0
"""The kubelet's, where a livenessProbe has none."""
STOP_GRACE_S = 10.0
"""How long gunicorn has to end its workers once nothing is in flight."""
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "VIRTUAL_ENV")
"""The variables of our environment that a function inherits; the rest comes from its manifest, as on a cluster."""


class InstanceState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    """Was ready, and fails its readinessProbe: gets no requests until it succeeds again."""
    DRAINING = "draining"
    """Gets no new requests; those in flight may finish."""
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class InstanceContext:
    """What all instances share."""

    project_root: Path
    """The base of FUNCTION_SOURCE; also PYTHONPATH."""
    data_dir: Path
    launcher: Launcher
    logs: LogDirectory
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of every function, such as telemetry settings; they override the revision's own."""
    start_timeout_s: float = START_TIMEOUT_S
    forks: ForkServer | None = None
    """None: every instance is a new interpreter, as on a cluster."""
    builds: Builds = field(default_factory=Builds)


class Instance:
    """One function process. The activator counts `in_flight` through `enter` and `leave`."""

    def __init__(self, revision: Revision, context: InstanceContext) -> None:
        self.revision = revision
        self.port = ports.free_port()
        self.state = InstanceState.STARTING
        self.in_flight = 0
        self.ready_s: float | None = None
        """Seconds from the start of the process until it was ready."""
        self.settled = asyncio.Event()
        """Set when the instance is ready or never will be."""
        self.process: ManagedProcess | None = None
        self.readiness: Readiness | None = None
        self.launch: Launch = context.launcher.find(revision)
        self._surroundings: PythonModule | Command | None = None
        self._stopped = asyncio.Event()
        self._began: float | None = None
        self._context = context
        self._home = context.data_dir.resolve() / "home" / str(self.port)
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Start the process; returns when it is ready. Raises StartFailedError, leaving nothing running."""
        began = self._began = time.monotonic()
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self.process = await self._start_process()
            self.readiness = self._probing(self.revision.readiness)
            await self._wait_until_ready(began, self.readiness)
        except OSError as exc:
            # A full disk, or no more processes.
            failure = self._start_failed(f"could not be started: {exc}")
            await self.kill()
            raise failure from exc
        except BaseException:
            await self.kill()
            raise
        self.ready_s = time.monotonic() - began
        self.state = InstanceState.READY
        self.settled.set()

    async def wait(self) -> None:
        """Wait until the process is gone; without one, until nobody listens at the address any more, or `stop`."""
        if self.process is not None:
            await self.process.wait()
            return
        while not self._stopped.is_set() and await self._is_served():
            with suppress(TimeoutError):
                async with asyncio.timeout(ADDRESS_CHECKED_EVERY_S):
                    await self._stopped.wait()

    async def _is_served(self) -> bool:
        # A server that restarts is away for a moment.
        host, port = self._host_and_port
        return await accepts(host, port) or await self._accepts_soon(host, port)

    async def _accepts_soon(self, host: str, port: int) -> bool:
        await asyncio.sleep(ADDRESS_TIMEOUT_S)
        return await accepts(host, port)

    @property
    def _host_and_port(self) -> tuple[str, int]:
        if isinstance(self.launch, AddressLaunch):
            return self.launch.host, self.launch.port
        return LOOPBACK, self.port

    @property
    def address(self) -> str:
        host, port = self._host_and_port
        return f"{host}:{port}"

    @property
    def uptime_s(self) -> float:
        """Return the seconds since it was started."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def is_ready(self) -> bool:
        return self.state is InstanceState.READY

    @property
    def has_room(self) -> bool:
        # An address has no other instances that would take what is above the limit.
        limit = 0 if isinstance(self.launch, AddressLaunch) else self.revision.container_concurrency
        return self.is_ready and has_room(limit, self.in_flight)

    def enter(self) -> None:
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def drain(self) -> bool:
        """Accept no new requests, and wait for those in flight.

        Returns False if some were still in flight after the revision's timeout, or at a stop before it.
        """
        self.state = InstanceState.DRAINING
        try:
            async with asyncio.timeout(self.revision.timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return self.in_flight == 0

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        self.state = InstanceState.STOPPED
        self.settled.set()
        self._stopped.set()
        # Wakes a pending drain, which has nothing left to wait for.
        self._idle.set()
        try:
            if self.process is not None:
                await self.process.stop(grace_s=grace_s)
        finally:
            ports.release(self.port)
            shutil.rmtree(self._home, ignore_errors=True)

    async def kill(self) -> None:
        await self.stop(grace_s=0)

    async def watch(self, on_change: Callable[[], None], on_unhealthy: Callable[[str], None]) -> None:
        """Probe an instance that is ready, until cancelled.

        `on_change` is called when it gets requests or no more, `on_unhealthy` before it is ended by its livenessProbe.
        """
        async with asyncio.TaskGroup() as watching:
            watching.create_task(self._watch_readiness(on_change))
            watching.create_task(self._watch_liveness(on_unhealthy))

    async def _watch_liveness(self, on_unhealthy: Callable[[str], None]) -> None:
        check = self.revision.liveness
        if check is None or self.process is None:
            # Nobody else's process is ended.
            return
        liveness = self._probing(check)
        await asyncio.sleep(check.initial_delay_s)
        failures = 0
        while failures < check.failure_threshold:
            await asyncio.sleep(check.period_s or PROBE_PERIOD_S)
            failures = 0 if await liveness.probe() else failures + 1
        on_unhealthy(liveness.last_answer)
        await self.process.kill()

    async def _watch_readiness(self, on_change: Callable[[], None]) -> None:
        if self.readiness is None or not self.readiness.watch_period_s:
            return
        while True:
            await asyncio.sleep(self.readiness.watch_period_s)
            succeeded = await self.readiness.probe()
            if self.state is InstanceState.READY and not self.readiness.still_ready():
                self.state = InstanceState.UNREADY
                on_change()
            elif self.state is InstanceState.UNREADY and succeeded:
                self.state = InstanceState.READY
                on_change()

    async def _start_process(self) -> ManagedProcess | None:
        name, on_line = self.revision.name, self._context.logs.sink(self.revision.label)
        match self.launch:
            case ModuleLaunch() as launch:
                module = _module(self.revision, launch, self.port, self._home, self._context)
                self._surroundings = module
                if self._context.forks is not None:
                    return await self._context.forks.start_process(name, module, on_line=on_line)
                return await ManagedProcess.start(name, python_command(module), on_line=on_line)
            case ProgramLaunch() as launch:
                if launch.build is not None:
                    await self._context.builds.build(self.revision, launch.build, on_line)
                command = _command(self.revision, launch, self.port, self._home, self._context)
                self._surroundings = command
                return await ManagedProcess.start(name, command, on_line=on_line)
            case AddressLaunch():
                env = {**interpreter_env(self._context.project_root), **self.revision.env}
                self._surroundings = Command(argv=(), env=env, cwd=self._context.project_root)
                return None
            case NoLaunch(reason=reason):
                raise self._start_failed(f"is not run: {reason}")

    def _probing(self, check: ReadinessCheck) -> Readiness:
        if self._surroundings is None:
            raise RuntimeError("not started yet")
        host, port = self._host_and_port
        return Readiness(check, port, self._surroundings, host=host)

    async def _wait_until_ready(self, began: float, readiness: Readiness) -> None:
        if self.revision.startup is not None:
            await self._wait_until(began, self._probing(self.revision.startup), self.revision.startup)
        await self._wait_until(began, readiness, self.revision.readiness)
        if self.state is not InstanceState.STARTING:
            raise self._start_failed("was stopped before it was ready")

    async def _wait_until(self, began: float, readiness: Readiness, check: ReadinessCheck) -> None:
        timeout_s = self._context.start_timeout_s if self.process is not None else ADDRESS_TIMEOUT_S
        deadline = began + check.initial_delay_s + timeout_s
        await asyncio.sleep(check.initial_delay_s)
        while not await readiness.probe():
            if self._stopped.is_set():
                raise self._start_failed("was stopped before it was ready")
            if self.process is not None and self.process.returncode is not None:
                returncode = await self.process.wait()
                raise self._start_failed(f"ended with {returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self._start_failed(self._not_ready(readiness, timeout_s))
            await asyncio.sleep(readiness.pause_s)

    def _not_ready(self, readiness: Readiness, timeout_s: float) -> str:
        if isinstance(self.launch, AddressLaunch):
            return f"is not served at http://{self.address}: {readiness.last_answer}"
        hint = ""
        if isinstance(self.launch, ProgramLaunch) and readiness.last_answer == f"nothing listens on port {self.port}":
            hint = "; does it read its port from the variable PORT?"
        return f"was not ready within {timeout_s:g} s: {readiness.last_answer}{hint}"

    def _start_failed(self, what: str) -> StartFailedError:
        last_lines = () if self.process is None else self.process.last_lines
        retired = self.state is not InstanceState.STARTING
        return StartFailedError(f"{self.revision.name} {what}", last_lines=last_lines, retired=retired)


def interpreter_env(project_root: Path) -> dict[str, str]:
    """Return the environment with which every instance's interpreter starts."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    # Unbuffered, so that an instance's last lines are in the log when it is killed.
    return {**inherited, "PYTHONPATH": str(project_root.resolve()), "PYTHONUNBUFFERED": "1"}


def _module(revision: Revision, launch: ModuleLaunch, port: int, home: Path, context: InstanceContext) -> PythonModule:
    base = interpreter_env(context.project_root)
    env = {**base, **revision.env, **launch.env, **context.env, **_given(revision, port, home), "HOST": LOOPBACK}
    env |= {name: value for name, value in base.items() if name.startswith("PYTHON")}
    keep_loopback_direct(env)
    return PythonModule(module=launch.module, env=env, cwd=launch.cwd.resolve())


def _command(revision: Revision, launch: ProgramLaunch, port: int, home: Path, context: InstanceContext) -> Command:
    """Build the command of a program. Raises OSError if the program is no longer there."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    inherited.pop("VIRTUAL_ENV", None)
    env = {
        **inherited,
        "PYTHONUNBUFFERED": "1",
        # Most servers listen on every network unless they are told otherwise; some read one of these.
        "HOST": LOOPBACK,
        "LISTEN_ADDRESS": f"{LOOPBACK}:{port}",
        **launch.defaults,
        **revision.env,
        **launch.env,
        **context.env,
        **_given(revision, port, home),
    }
    folders = (str(folder.absolute()) for folder in launch.path)
    # A PATH of the manifest is that of the image, whose folders may not exist here.
    path = dict.fromkeys((env.get("PATH", os.defpath), inherited.get("PATH", os.defpath)))
    env["PATH"] = os.pathsep.join([*folders, *path])
    keep_loopback_direct(env)
    program, *arguments = (expand(word, env) for word in launch.argv) if launch.expands else launch.argv
    return group_command(_absolute(program, launch.cwd, env), *arguments, env=env, cwd=launch.cwd.resolve())


def _absolute(program: str, cwd: Path, env: Mapping[str, str]) -> str:
    found = os.path.normpath((cwd / program).absolute()) if "/" in program else shutil.which(program, path=env["PATH"])
    if found is None:
        raise FileNotFoundError(f"there is no program {program!r} in {cwd} or on PATH")
    return found


def _given(revision: Revision, port: int, home: Path) -> dict[str, str]:
    """Return the variables that Serving sets, and a home."""
    return {
        "PORT": str(port),
        "K_SERVICE": revision.service,
        "K_REVISION": revision.name,
        "K_CONFIGURATION": revision.service,
        # gunicorn keeps a control socket there. Instances that share a home would remove each other's socket.
        "HOME": str(home),
    }
