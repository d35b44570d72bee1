"""The runtime's end of one zygote: orders to fork go out, pids and ends of processes come back."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from darkroom.local.children.logs import LineSink
from darkroom.local.children.processes import ManagedProcess, OutputWatch, PythonModule, python_command
from darkroom.local.children.zygote import MAX_MESSAGE_BYTES

STOP_GRACE_S = 2.0
ANSWER_TIMEOUT_S = 5.0


class CannotForkError(Exception):
    """The process could not be forked; start a new interpreter instead."""


class EnvironmentConflictError(CannotForkError):
    """The zygote's libraries have read a variable that has another value for this process."""


class Zygote:
    """The runtime's end of the connection to one zygote process."""

    def __init__(self, process: ManagedProcess, channel: socket.socket, on_end: Callable[[Zygote], None]) -> None:
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
    async def start(cls, program: PythonModule, *, on_line: LineSink, on_end: Callable[[Zygote], None]) -> Zygote:
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
        elif "conflict" in message:
            answer.set_exception(EnvironmentConflictError(message["conflict"]))
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


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
