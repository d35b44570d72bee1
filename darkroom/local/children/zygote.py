"""The process that function instances are forked from, with the libraries that every function imports already loaded.

`fork_server` runs it as a module. Its arguments name what preloads the project's libraries; its standard input is a
socket to the runtime. The runtime sends an order together with the write end of a pipe for the output, and gets back a
pid and, later, its exit status. An instance is a child of this process, which is a child of the runtime: whichever of
them is killed, its forks die with it (`guard`).

It loads only what all functions share, and nothing that starts threads or opens connections (above all not libvips).
Apart from what it preloads, it uses only the standard library.
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

from darkroom.local.children.environment_reads import EnvironmentReads
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
"""Used by the command line only; structlog would import it for its colours."""
MALLOC_OPTIONS = {"MALLOC_ARENA_MAX": -8, "MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}
"""Environment variables of glibc, with their mallopt(3) parameters."""
_PR_SET_NAME = 15  # prctl(2)


def main() -> None:
    channel = socket.socket(fileno=os.dup(0))
    references = sys.argv[1:]
    with EnvironmentReads() as reads:
        preload(references)
    packages = {"darkroom", *(reference.partition(".")[0] for reference in references)}
    files = _mtimes(packages)
    channel.send(_message(ready=True))
    order = serve(channel, lambda: files == _mtimes(packages), reads)
    if order is not None:
        run_order(order, reads)


def preload(references: Sequence[str]) -> None:
    """Import what functions-framework needs, and call the referenced functions, which import more."""
    for name in _NOT_IN_AN_IMAGE:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    for name in FRAMEWORK:
        # A module that is not installed is imported by no function either.
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    from darkroom.telemetry.switch import traces_are_wanted

    if traces_are_wanted(os.environ):
        importlib.import_module("darkroom.telemetry.recording")
    for reference in references:
        _call(reference)
    # Includes threads of libraries, which Python does not know about. No thread survives a fork.
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError(f"preloading has started threads; Python's own are {threading.enumerate()}")
    # The garbage collector does not touch frozen objects, so their memory pages stay shared.
    gc.collect()
    gc.freeze()


def _call(reference: str) -> None:
    """Call the function named by `package.module:object.method`."""
    module, _, path = reference.partition(":")
    attrgetter(path)(importlib.import_module(module))()


def serve(channel: socket.socket, is_current: Callable[[], bool], reads: EnvironmentReads) -> dict[str, Any] | None:
    """Fork a process per order. Returns the order in that process, and None in this one once the runtime hangs up."""
    wakeup_read, wakeup_write = os.pipe()
    for end in (wakeup_read, wakeup_write):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(wakeup_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not channel:
                    os.read(wakeup_read, 4096)
                    _report_exits(channel)
                    continue
                data, fds, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 1)
                if not data:
                    return None
                order: dict[str, Any] = json.loads(data)
                if (conflict := reads.conflict(order["env"])) is not None:
                    channel.send(_message(order=order["order"], conflict=conflict))
                    os.close(fds[0])
                elif _fork(channel, order, fds[0], is_current):
                    for end in (wakeup_read, wakeup_write, channel.detach()):
                        os.close(end)
                    return order


def _fork(channel: socket.socket, order: dict[str, Any], output: int, is_current: Callable[[], bool]) -> bool:
    """Fork, and send the pid or a refusal to the runtime. Returns True in the child, which writes to `output`."""
    try:
        pid = os.fork() if is_current() else None
    except OSError:
        # No process can be created now. The runtime's own attempt will show why.
        pid = None
    if pid == 0:
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
    elif pid is None:
        channel.send(_message(order=order["order"], refused=True))
    else:
        with suppress(ProcessLookupError, PermissionError):
            # Also done here, because the runtime may signal the group as soon as it has the pid.
            os.setpgid(pid, pid)
        channel.send(_message(order=order["order"], pid=pid))
    os.close(output)
    return pid == 0


def run_order(order: dict[str, Any], reads: EnvironmentReads) -> None:
    """Run the order's module as `python -m` would; raises SystemExit when it ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # Sets the name that `top` shows; the command line stays that of the zygote.
    ctypes.CDLL(None).prctl(_PR_SET_NAME, order["name"].encode()[:15], 0, 0, 0)
    os.chdir(order["cwd"])
    coerced = os.environ.get("LC_CTYPE")
    os.environ.clear()
    if coerced is not None:
        # A new interpreter sets it where it finds the C locale (PEP 538). The locale's own variables are the same, or
        # the runtime would not have asked for a fork.
        os.environ["LC_CTYPE"] = coerced
    os.environ.update(order["env"])
    time.tzset()
    for name, option in MALLOC_OPTIONS.items():
        if value := order["env"].get(name):
            # glibc reads the variable only when a program starts, and this one started long ago.
            ctypes.CDLL(None).mallopt(option, int(value))
    reads.refresh(order["env"])
    run_module(order["module"], order["arguments"])


def _report_exits(channel: socket.socket) -> None:
    """Reap the children that have ended, and send their exit statuses to the runtime."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            channel.send(_message(ended=pid, status=os.waitstatus_to_exitcode(status)))


def _mtimes(packages: Collection[str]) -> dict[str, float]:
    """Return the modification times of our own and the project's modules, to detect edits."""
    mtimes = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages and path is not None:
            try:
                mtimes[path] = os.stat(path).st_mtime
            except FileNotFoundError:
                mtimes[path] = 0.0
    return mtimes


def _message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


if __name__ == "__main__":
    main()
