"""A child process that is started through the guard, whose output is read line by line, and that always ends.

Knows nothing of servers, functions or readiness; those are `servers` and `instances`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from darkroom.local.children.logs import LineSink

GUARD = Path(__file__).with_name("guard.py")
MAX_LINE_BYTES = 16 * 1024
"""What is longer is cut: a child that never ends its line must not fill our memory."""
LAST_LINES_KEPT = 30
END_OF_OUTPUT_S = 1.0
"""How long we read on after the group was killed: only a process that left the group can still hold the pipe."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start. `env` is the whole environment; nothing of ours is inherited."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path


def native_command(program: Path | str, *arguments: str, env: Mapping[str, str], cwd: Path) -> Command:
    """A program that is no Python; its path must be absolute."""
    # -I -S: this interpreter lives for one system call, so it reads neither site-packages nor the environment.
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), "exec"]
    return Command(argv=[*guard, str(program), *arguments], env=env, cwd=cwd)


@dataclass(frozen=True, kw_only=True)
class PythonModule:
    """What `python -m` runs, with `env` as its whole environment."""

    module: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str]
    cwd: Path


def python_command(program: PythonModule) -> Command:
    """The module in the guard's own interpreter."""
    # -P: the guard's folder must not become the first entry of sys.path, where its neighbours would shadow modules.
    guard = [sys.executable, "-P", str(GUARD), str(os.getpid()), "python"]
    return Command(argv=[*guard, program.module, *program.arguments], env=program.env, cwd=program.cwd)


class Handle(Protocol):
    """What asyncio's SubprocessTransport offers, as far as it is used here."""

    def get_pid(self) -> int: ...

    def get_returncode(self) -> int | None: ...

    def send_signal(self, signal: int) -> None: ...

    def close(self) -> None: ...


class ManagedProcess:
    """Made by `start`. Leads a session of its own, so that Ctrl-C in our terminal reaches us and not the child."""

    def __init__(self, name: str, transport: Handle, watch: OutputWatch) -> None:
        self.name = name
        self.started_at = time.monotonic()
        self._transport = transport
        self._watch = watch
        self._pid = transport.get_pid()
        self._ended = asyncio.create_task(self._wait_for_end(), name=f"{name}: end")

    @classmethod
    async def start(
        cls, name: str, command: Command, *, on_line: LineSink, stdin: int = asyncio.subprocess.DEVNULL
    ) -> ManagedProcess:
        """Must be called from the main thread: the kernel ends the child with the thread that started it."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{name} must be started from the main thread: it ends with the thread that started it")
        transport, watch = await asyncio.get_running_loop().subprocess_exec(
            lambda: OutputWatch(on_line),
            *command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(name, transport, watch)

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Negative: the signal that ended it. None: it runs."""
        return self._transport.get_returncode()

    @property
    def last_lines(self) -> Sequence[str]:
        return self._watch.last_lines

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.started_at

    async def wait(self) -> int:
        """Returns once the process and its whole group are gone and its output was read."""
        return await asyncio.shield(self._ended)

    async def stop(self, *, grace_s: float) -> int:
        """SIGTERM, up to `grace_s`, SIGKILL to the group. Also when cancelled, nothing is left behind."""
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            return await self.kill()
        finally:
            self._signal_group(signal.SIGKILL)

    async def kill(self) -> int:
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """To the process alone: it knows best how to end its workers."""
        if self.returncode is None:
            self._transport.send_signal(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # the whole group is gone, which is what we want

    async def _wait_for_end(self) -> int:
        await self._watch.exited.wait()
        self._signal_group(signal.SIGKILL)
        try:
            async with asyncio.timeout(END_OF_OUTPUT_S):
                await self._watch.output_ended.wait()
        except TimeoutError:
            self._watch.on_line(f"(what {self.name} left behind still holds its output; it is read no further)")
        returncode = self._transport.get_returncode()
        self._transport.close()
        if returncode is None:
            raise RuntimeError(f"{self.name} has ended without a return code")
        return returncode


class OutputWatch(asyncio.SubprocessProtocol):
    """Told by the event loop what the child writes and when it ends.

    asyncio's own `Process.wait` would not do: it waits until the pipe is closed, and a worker that outlived the child
    holds it open.
    """

    def __init__(self, on_line: LineSink) -> None:
        self.on_line = on_line
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES_KEPT)
        self.exited = asyncio.Event()
        self.output_ended = asyncio.Event()
        self._buffer = LineBuffer(MAX_LINE_BYTES)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        for line in self._buffer.feed(data if isinstance(data, bytes) else data.encode()):
            self._take(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        for line in self._buffer.end():
            self._take(line)
        self.output_ended.set()

    def process_exited(self) -> None:
        self.exited.set()

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last_lines.append(text)
        self.on_line(text)


class LineBuffer:
    """Cuts a stream of bytes into lines of at most `max_bytes`; the rest of a longer line is dropped."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._partial = b""
        self._dropping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        *complete, rest = (self._partial + chunk).split(b"\n")
        lines = []
        for line in complete:
            if not self._dropping:
                lines.append(line[: self._max_bytes])
            self._dropping = False
        self._partial = b"" if self._dropping else rest
        if len(self._partial) > self._max_bytes:
            lines.append(self._partial[: self._max_bytes])
            self._partial = b""
            self._dropping = True
        return lines

    def end(self) -> list[bytes]:
        return [self._partial] if self._partial else []
