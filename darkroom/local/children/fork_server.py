"""Starts function instances by forking them from a process that has loaded their libraries (`zygote`).

A new interpreter needs half a second of CPU time for the imports that all functions share, and a burst from zero starts
ten at once. Forking is an optimisation only: if the zygote is not ready, its modules have changed, or the instance
needs another environment for its interpreter, a new interpreter is started instead.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from darkroom.local.children.logs import LineSink
from darkroom.local.children.processes import ManagedProcess, OutputWatch, PythonModule, python_command
from darkroom.local.children.zygote import MALLOC_OPTIONS, MAX_MESSAGE_BYTES
from darkroom.local.reporting import Report

STOP_GRACE_S = 2.0
RESTART_PAUSE_S = 1.0
ANSWER_TIMEOUT_S = 5.0
_READ_AT_EXEC = ("PYTHON", "LD_", "LANG", "LC_", "MALLOC_", "GLIBC_")
"""Prefixes of variables that only take effect when a program starts with them."""


class CannotForkError(Exception):
    """The process could not be forked; start a new interpreter instead."""


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
        self._zygote: _Zygote | None = None
        self._retired: set[_Zygote] = set()
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
        except CannotForkError:
            if self._zygote is zygote:
                self._zygote = None
                self._retire(zygote)
            raise

    def _retire(self, zygote: _Zygote) -> None:
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
        zygote = await _Zygote.start(program, on_line=self._on_line, on_end=self._zygote_ended)
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

    def _zygote_ended(self, zygote: _Zygote) -> None:
        self._retired.discard(zygote)
        if self._zygote is not zygote or self._closed:
            return
        self._zygote = None
        self._report("fork_server.died")
        asyncio.get_running_loop().call_later(RESTART_PAUSE_S, self.start)


class _Zygote:
    """The runtime's end of the connection to one zygote process."""

    def __init__(self, process: ManagedProcess, channel: socket.socket, on_end: Callable[[_Zygote], None]) -> None:
        self.ready = asyncio.Event()
        """Set when it accepts orders, or has ended."""
        self._process = process
        self._channel = channel
        self._on_end = on_end
        self._orders = itertools.count()
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._children: dict[int, _ForkedProcess] = {}
        self._exits_before_registration: dict[int, int] = {}
        self._is_retired = False
        asyncio.get_running_loop().add_reader(channel, self._receive)

    @classmethod
    async def start(cls, program: PythonModule, *, on_line: LineSink, on_end: Callable[[_Zygote], None]) -> _Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = await ManagedProcess.start(
                    "fork-server", python_command(program), on_line=on_line, stdin=theirs.fileno()
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        return cls(process, ours, on_end)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._channel.fileno() >= 0

    @property
    def last_line(self) -> str:
        return next(reversed(self._process.last_lines), "")

    async def fork(self, name: str, program: PythonModule, on_line: LineSink) -> ManagedProcess:
        """Fork a process that runs the module. Raises CannotForkError; then nothing was started."""
        output, child_output = os.pipe()
        try:
            pid = await self._order(name, program, child_output)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(child_output)
        watch = OutputWatch(on_line)
        child = self._children[pid] = _ForkedProcess(pid, watch)
        if pid in self._exits_before_registration:
            self._child_ended(pid, self._exits_before_registration.pop(pid))
        await child.read(output)
        return ManagedProcess(name, child, watch)

    def close_after_last_child(self) -> None:
        self._is_retired = True
        if not self._children:
            self._disconnect()

    async def close(self) -> None:
        self._disconnect()
        await self._process.stop(grace_s=STOP_GRACE_S)

    async def _order(self, name: str, program: PythonModule, output: int) -> int:
        number = next(self._orders)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        order = {
            "order": number,
            "name": name,
            "module": program.module,
            "arguments": program.arguments,
            "env": dict(program.env),
            "cwd": str(program.cwd),
        }
        try:
            socket.send_fds(self._channel, [json.dumps(order).encode()], [output])
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        except (OSError, TimeoutError) as exc:
            raise CannotForkError from exc
        finally:
            del self._answers[number]

    def _receive(self) -> None:
        try:
            data = self._channel.recv(MAX_MESSAGE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()
            return
        message = json.loads(data)
        if "ready" in message:
            self.ready.set()
        elif "ended" in message:
            self._child_ended(message["ended"], message["status"])
        else:
            self._handle_answer(message)

    def _handle_answer(self, message: Mapping[str, Any]) -> None:
        answer = self._answers.get(message["order"])
        if answer is None or answer.done():
            # The caller has given up waiting and started a new interpreter.
            if "pid" in message:
                _kill_group(message["pid"])
        elif "refused" in message:
            answer.set_exception(CannotForkError())
        else:
            answer.set_result(message["pid"])

    def _child_ended(self, pid: int, status: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            self._exits_before_registration[pid] = status
            return
        child.ended(status)
        if self._is_retired and not self._children:
            self._disconnect()

    def _disconnect(self) -> None:
        """Close the connection, upon which the zygote exits if it has not yet, and kill its remaining children."""
        if not self.is_alive:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(CannotForkError())
        children, self._children = self._children, {}
        for pid, child in children.items():
            _kill_group(pid)
            child.ended(-signal.SIGKILL)
        self.ready.set()
        self._on_end(self)


class _ForkedProcess:
    """The transport of a `ManagedProcess` that is not our own child."""

    def __init__(self, pid: int, watch: OutputWatch) -> None:
        self._pid = pid
        self._watch = watch
        self._returncode: int | None = None
        self._reading: asyncio.ReadTransport | None = None

    async def read(self, output: int) -> None:
        pipe = os.fdopen(output, "rb", buffering=0)
        self._reading, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _PipeReader(self._watch), pipe)

    def ended(self, returncode: int) -> None:
        self._returncode = returncode
        self._watch.process_exited()

    def get_pid(self) -> int:
        return self._pid

    def get_returncode(self) -> int | None:
        return self._returncode

    def send_signal(self, signal: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal)

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()


class _PipeReader(asyncio.Protocol):
    def __init__(self, watch: OutputWatch) -> None:
        self._watch = watch

    def data_received(self, data: bytes) -> None:
        self._watch.pipe_data_received(1, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.pipe_connection_lost(1, exc)


def _variables_read_at_exec(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_EXEC) and name not in MALLOC_OPTIONS}


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
