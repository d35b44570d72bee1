"""A child process that is started through the guard, is read line by line, and always ends.

Nothing here is specific to servers, functions or readiness; see `servers` and `instances`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from darkroom.local.children.logs import LineSink

GUARD = Path(__file__).with_name("guard.py")
MAX_LINE_BYTES = 16 * 1024
"""Longer lines are cut, so that a child that never ends its line cannot fill our memory."""
LAST_LINES_KEPT = 60
"""Enough for the trace of one goroutine, whose reason is the first line."""
END_OF_OUTPUT_S = 1.0
"""How long we keep reading after the group was killed: only a process that left the group can still hold the pipe."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command to start. `env` is the whole environment; nothing is inherited from ours."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    umask: int = -1
    """-1: as ours."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user with whose rights a program runs, instead of root's."""

    uid: int
    gid: int


def native_command(
    program: Path | str,
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path,
    umask: int = -1,
    identity: Identity | None = None,
) -> Command:
    """Build the command for a program that is not Python. Its path must be absolute."""
    mode = ["exec"] if identity is None else ["exec-as", f"{identity.uid}:{identity.gid}"]
    # -I -S: this interpreter makes a few system calls, so it needs neither site-packages nor the environment.
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *mode]
    return Command(argv=[*guard, str(program), *arguments], env=env, cwd=cwd, umask=umask)


def group_command(program: Path | str, *arguments: str, env: Mapping[str, str], cwd: Path) -> Command:
    """Build the command for a program of any language, whose children end with it whatever ends it.

    The program's path must be absolute.
    """
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), "group"]
    return Command(argv=[*guard, str(program), *arguments], env=env, cwd=cwd)


@dataclass(frozen=True, kw_only=True)
class PythonModule:
    """A module to run as `python -m` would, with `env` as its whole environment."""

    module: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str]
    cwd: Path


def python_command(program: PythonModule) -> Command:
    """Build the command that runs a module in the guard's own interpreter."""
    # -P: the guard's folder must not become the first entry of sys.path, where its neighbours would shadow modules.
    guard = [sys.executable, "-P", str(GUARD), str(os.getpid()), "python"]
    return Command(argv=[*guard, program.module, *program.arguments], env=program.env, cwd=program.cwd)


class ProcessTransport(Protocol):
    """The part of asyncio's SubprocessTransport that is used here."""

    def get_pid(self) -> int: ...

    def get_returncode(self) -> int | None: ...

    def send_signal(self, signal: int) -> None: ...

    def close(self) -> None: ...


_LASTING_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def let_this_thread_start_processes() -> None:
    """Promise that the current thread ends only after all processes that are started from it."""
    _LASTING_THREADS.add(threading.current_thread())


def _outlasts_children(thread: threading.Thread) -> bool:
    return thread is threading.main_thread() or thread in _LASTING_THREADS


class ManagedProcess:
    """A running child process, created by `start`.

    It leads its own session, so that Ctrl-C in our terminal reaches us and not the child.
    """

    def __init__(self, name: str, transport: ProcessTransport, watch: OutputWatch) -> None:
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
        """Start a process. Call it on the main thread, or on one that lasts as long: the kernel ends the child with
        the thread that started it."""
        if not _outlasts_children(threading.current_thread()):
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
            umask=command.umask,
        )
        return cls(name, transport, watch)

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def returncode(self) -> int | None:
        """The exit status; negative for the signal that ended it, None while it runs."""
        return self._transport.get_returncode()

    @property
    def last_lines(self) -> Sequence[str]:
        return self._watch.last_lines

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.started_at

    async def wait(self) -> int:
        """Wait until the process and its whole group are gone and its output has been read."""
        return await asyncio.shield(self._ended)

    async def stop(self, *, grace_s: float, by: signal.Signals = signal.SIGTERM) -> int:
        """Send `by`, wait up to `grace_s`, then SIGKILL the group. Leaves nothing behind, even when cancelled."""
        self.send_signal(by)
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
        """Signal only the process itself, which knows best how to end its workers."""
        if self.returncode is None:
            self._transport.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process together with its workers."""
        if self.returncode is None:
            self._signal_group(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # the whole group is already gone

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
    """Receives the child's output and exit from the event loop.

    asyncio's own `Process.wait` cannot be used: it waits until the pipe is closed, and a worker that outlives the child
    keeps it open.
    """

    def __init__(self, on_line: LineSink) -> None:
        self.on_line = on_line
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES_KEPT)
        self.exited = asyncio.Event()
        self.output_ended = asyncio.Event()
        self._buffer = LineBuffer(MAX_LINE_BYTES)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        for line in self._buffer.feed(data if isinstance(data, bytes) else data.encode()):
            self._handle_line(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        for line in self._buffer.end():
            self._handle_line(line)
        self.output_ended.set()

    def process_exited(self) -> None:
        self.exited.set()

    def _handle_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last_lines.append(text)
        self.on_line(text)


class LineBuffer:
    """Splits a stream of bytes into lines of at most `max_bytes`; the rest of a longer line is dropped."""

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
