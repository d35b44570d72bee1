"""Distinguishing dead processes from living ones, with real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from darkroom.telemetry.workers import is_gone, worker_name
from tests.pausing import paused
from tests.stack import ROOT

PROGRAM = """
import time
from darkroom.telemetry.workers import worker_name
print(worker_name(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def neighbour() -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_worker_is_named_by_its_host_its_process_and_when_that_began() -> None:
    host, pid, start = worker_name().rsplit(":", 2)
    assert (host, pid) == (socket.gethostname(), str(os.getpid()))
    assert int(start) > 0


def test_a_neighbour_that_lives_is_not_gone_even_when_paused(neighbour: tuple[subprocess.Popen[str], str]) -> None:
    process, name = neighbour
    assert not is_gone(name)
    with paused(process.pid):
        assert not is_gone(name)


def test_a_neighbour_that_was_killed_is_gone_before_it_is_reaped_and_after(
    neighbour: tuple[subprocess.Popen[str], str],
) -> None:
    process, name = neighbour
    process.kill()
    give_up_at = time.monotonic() + 10
    while not is_gone(name):
        assert time.monotonic() < give_up_at
    process.wait()
    assert is_gone(name)


def test_another_process_with_the_pid_of_a_dead_worker_does_not_pass_for_it() -> None:
    host, pid, start = worker_name().rsplit(":", 2)
    assert is_gone(f"{host}:{pid}:{int(start) + 1}")


@pytest.mark.parametrize(
    "name", ["", "worker-1", "elsewhere:1:1", f"{socket.gethostname()}:1:", f"{socket.gethostname()}:x:1"]
)
def test_of_other_hosts_and_other_names_nothing_is_known(name: str) -> None:
    assert not is_gone(name)
