"""Runs a `darkroom up` on free ports for the duration of another command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from darkroom.cli.folders import make_folder
from darkroom.cli.runtime_file import runtime_addresses
from darkroom.local.addresses import Addresses
from darkroom.local.children import guard

READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 30.0


@contextmanager
def temporary_stack(data: Path, *options: str) -> Iterator[Addresses]:
    """Run a stack in another process, which ends when this one ends, in whatever way.

    Its output goes to up.log in `data`. Raises click.ClickException if it does not start.
    """
    make_folder(data, "--data", mode=0o700)
    # The file of a stack that was killed would be mistaken for this one's.
    (data / "runtime.json").unlink(missing_ok=True)
    log = data / "up.log"
    arguments = ["up", "--free-ports", "--data", str(data), "--no-watch", "--verbose", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            guarded_command("darkroom.cli", *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Ctrl-C must reach only this command, which still needs the stack.
            start_new_session=True,
        )
        try:
            yield _addresses_once_up(process, data, log)
        finally:
            _stop(process)


def guarded_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python module which the kernel kills when this process ends, in whatever way."""
    return [sys.executable, "-P", guard.__file__, str(os.getpid()), "python", module, *arguments]


def _addresses_once_up(process: subprocess.Popen[bytes], data: Path, log: Path) -> Addresses:
    ends_at = time.monotonic() + READY_WITHIN_S
    while not (data / "runtime.json").exists():
        if process.poll() is not None:
            raise click.ClickException(f"the stack did not start: {_reason(log)}")
        if time.monotonic() > ends_at:
            raise click.ClickException(f"the stack was not up within {READY_WITHIN_S:g} s; see {log}")
        time.sleep(0.02)
    return runtime_addresses(data)


def _reason(log: Path) -> str:
    """Return the error with which `darkroom up` ended, or the end of its log if it gave none."""
    text = log.read_text("utf-8", errors="backslashreplace")
    _, error, reason = text.rpartition("\nError: ")
    if not error and text.startswith("Error: "):
        reason, error = text.removeprefix("Error: "), "Error: "
    return f"{reason.strip()} (all of it: {log})" if error else f"{log} ends with:\n{text[-2000:]}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOPPED_WITHIN_S)
    finally:
        # The guard ends whatever it started.
        process.kill()
        process.wait()
