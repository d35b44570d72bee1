"""Ctrl-C: says what it waits for, ends within the time for draining, and a second one ends it at once."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from darkroom.local.stack import DRAIN_S
from tests.stack import RunningStack, eventually, running_stack, write_function

pytestmark = pytest.mark.slow

FUNCTION = """
import time
from pathlib import Path
import functions_framework

@functions_framework.http
def handle(request):
    Path("called").touch()
    time.sleep(600)
    return "too late"
"""
SERVERS_AND_PYTHON_END_S = 15.0


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack with a request that takes ten minutes."""
    write_function(tmp_path, "sleeper", FUNCTION)
    with running_stack(tmp_path / "data", cwd=tmp_path) as stack:
        client = threading.Thread(target=ask, args=(stack.addresses["api"],), daemon=True)
        client.start()
        eventually((tmp_path / "called").exists, within_s=30, what="the request is under way")
        yield stack
    client.join(timeout=30)


def ask(url: str) -> None:
    try:
        httpx.get(url, headers={"Host": "sleeper.default.localhost"}, timeout=120)
    except httpx.TransportError:
        return  # the runtime has ended


def interrupt(stack: RunningStack) -> subprocess.Popen[bytes]:
    assert stack.process is not None
    stack.process.send_signal(signal.SIGINT)
    return stack.process


def test_a_second_interrupt_ends_it_at_once_and_leaves_nothing_behind(busy: RunningStack) -> None:
    children = busy.descendants()
    interrupt(busy)
    eventually(
        lambda: "waits_for=1 request at sleeper" in busy.log.read_text(), within_s=30, what="it says what it waits for"
    )
    process = interrupt(busy)
    assert process.wait(timeout=DRAIN_S - 1) == 0, "not after the time for draining"
    assert "drain_cut_short" in busy.log.read_text()
    assert "Traceback" not in busy.log.read_text()
    eventually(lambda: not any(child.is_running() for child in children), within_s=10, what="no child is left")


def test_an_interrupt_ends_within_the_time_for_draining(busy: RunningStack) -> None:
    process = interrupt(busy)
    assert process.wait(timeout=DRAIN_S + SERVERS_AND_PYTHON_END_S) == 0
    assert "interrupted=1 request at sleeper" in busy.log.read_text()
