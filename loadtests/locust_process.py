"""Locust as a process of its own, with a Darkroom on this machine as its target or another one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from darkroom.cli.backends import BROKER_PATH
from darkroom.cli.temporary_stack import guarded_command, temporary_stack
from loadtests.summary import NOT_EVALUATED

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The Darkroom under load."""

    host: str
    broker_url: str | None = None
    admin_url: str | None = None
    metrics_url: str | None = None


@contextmanager
def local_runtime(folder: Path, max_instances: int | None) -> Iterator[Target]:
    click.echo(f"starting a Darkroom in {folder}")
    options = [] if max_instances is None else ["--max-instances", str(max_instances)]
    with temporary_stack(folder, *options) as addresses:
        yield Target(host=addresses.api, broker_url=f"{addresses.broker}/{BROKER_PATH}", admin_url=addresses.admin)


def run_locust(target: Target, options: list[str], *, workers: int) -> int:
    """Run locust and return its exit code. Locust and its workers die with this process, however this one ends."""
    known = {"--broker-host": target.broker_url, "--admin-url": target.admin_url, "--metrics-url": target.metrics_url}
    where = [word for option, url in known.items() if url is not None for word in (option, url)]
    quiet = ["--headless", "--only-summary", "--loglevel", "WARNING"]
    arguments = ["-f", str(_LOCUSTFILE), *quiet, *_distributed(workers), "--host", target.host, *where, *options]
    root = _LOCUSTFILE.parent.parent
    process = subprocess.Popen(
        guarded_command("locust", *arguments),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "")},
        start_new_session=True,
    )
    try:
        return _exit_code_of(process)
    finally:
        _kill_session(process)


def _distributed(workers: int) -> list[str]:
    """Return the options for workers on this machine, which find their master at a free port."""
    if workers == 1:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return ["--processes", str(workers), *here]


def _exit_code_of(process: subprocess.Popen[bytes]) -> int:
    try:
        return _code(process.wait())
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
    try:
        return _code(process.wait())
    except KeyboardInterrupt:
        return NOT_EVALUATED


def _code(returned: int) -> int:
    """Return the exit code. That of a killed locust is the negative number of a signal."""
    return returned if returned >= 0 else NOT_EVALUATED


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of locust: it leads its session, its workers are in it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


@contextmanager
def interrupted_by_termination() -> Iterator[None]:
    """Make SIGTERM end the run as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
