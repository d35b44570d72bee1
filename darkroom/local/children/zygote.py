"""The process that function instances are forked from, with the libraries that every function imports already loaded.

Run by `fork_server` as a module, with references to what preloads the project's libraries as its arguments, and a
socket to the runtime as its standard input. An order comes with the end of a
pipe for the output; the answer is a pid, and later its exit status. The instance is a child of this process, which is a
child of the runtime: whichever is killed, what it forked dies with it (`guard`).

Loads nothing that starts threads or opens connections (libvips above all), and no function: only what is the same for
all of them. Standard library only, apart from what it preloads.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

from darkroom.local.children.guard import run_module

MAX_MESSAGE_BYTES = 128 * 1024

FRAMEWORK = (
    "functions_framework._cli",
    "functions_framework._http.gunicorn",
    "functions_framework.aio",
    "gunicorn.app.base",
    "gunicorn.arbiter",
    "gunicorn.workers.sync",
    "uvicorn_worker",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
)
_NOT_IN_AN_IMAGE = ("rich",)
"""The command line's; structlog would import it for its colours."""
MALLOC_OPTIONS = {"MALLOC_ARENA_MAX": -8, "MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}
"""Environment variables of glibc, and what mallopt(3) calls them."""
_PR_SET_NAME = 15  # prctl(2)


def main() -> None:
    channel = socket.socket(fileno=os.dup(0))
    references = sys.argv[1:]
    preload(references)
    packages = {"darkroom", *(reference.partition(".")[0] for reference in references)}
    files = _mtimes(packages)
    channel.send(_message(ready=True))
    order = serve(channel, lambda: files == _mtimes(packages))
    if order is not None:
        become(order)


def preload(references: Sequence[str]) -> None:
    """Import what functions-framework needs, and whatever the references' functions import."""
    for name in _NOT_IN_AN_IMAGE:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    for name in FRAMEWORK:
        # What is not installed is imported by no function either.
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    from darkroom.telemetry.switch import traces_are_wanted

    if traces_are_wanted(os.environ):
        importlib.import_module("darkroom.telemetry.recording")
    for reference in references:
        _called(reference)
    # Of a library's own too, which Python does not know of: none of them would live on in a fork.
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError(f"what is preloaded has started threads; Python's own are {threading.enumerate()}")
    # What is frozen is not touched by collections, so that its pages stay shared.
    gc.collect()
    gc.freeze()


def _called(reference: str) -> None:
    """Call what `package.module:object.method` names."""
    module, _, path = reference.partition(":")
    attrgetter(path)(importlib.import_module(module))()


def serve(channel: socket.socket, is_current: Callable[[], bool]) -> dict[str, Any] | None:
    """The order, in the process that was forked for it; None here, once the runtime has closed its end."""
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(awake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not channel:
                    os.read(awake, 4096)
                    _tell_of_the_ended(channel)
                    continue
                data, fds, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 1)
                if not data:
                    return None
                order: dict[str, Any] = json.loads(data)
                if _is_the_forked(channel, order, fds[0], is_current):
                    for end in (awake, wake, channel.detach()):
                        os.close(end)
                    return order


def _is_the_forked(channel: socket.socket, order: dict[str, Any], output: int, is_current: Callable[[], bool]) -> bool:
    """True in the new process, which writes to `output`; here the runtime is told of it, or that there is none."""
    try:
        pid = os.fork() if is_current() else None
    except OSError:
        # No process is to be had now. The runtime's own attempt will tell why.
        pid = None
    if pid == 0:
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
    elif pid is None:
        channel.send(_message(order=order["order"], refused=True))
    else:
        with suppress(ProcessLookupError, PermissionError):
            # Here too: whoever is told the pid may signal the group at once.
            os.setpgid(pid, pid)
        channel.send(_message(order=order["order"], pid=pid))
    os.close(output)
    return pid == 0


def become(order: dict[str, Any]) -> None:
    """Run the order's module as `python -m` would; raises SystemExit with its end."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # What `top` shows; the command line stays this process'.
    ctypes.CDLL(None).prctl(_PR_SET_NAME, order["name"].encode()[:15], 0, 0, 0)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    for name, option in MALLOC_OPTIONS.items():
        if value := order["env"].get(name):
            # glibc reads the variable when a program starts, which this one did long ago.
            ctypes.CDLL(None).mallopt(option, int(value))
    run_module(order["module"], order["arguments"])


def _tell_of_the_ended(channel: socket.socket) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            channel.send(_message(ended=pid, status=os.waitstatus_to_exitcode(status)))


def _mtimes(packages: Collection[str]) -> dict[str, float]:
    """Modification times of our own modules and the project's: whoever edits one wants to see it run."""
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages and path is not None:
            try:
                found[path] = os.stat(path).st_mtime
            except FileNotFoundError:
                found[path] = 0.0
    return found


def _message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


if __name__ == "__main__":
    main()
