from __future__ import annotations

import os
import random
import socket
import subprocess
import sys

import pytest

from darkroom.local.children import ports
from darkroom.local.errors import LocalRuntimeError, PortTakenError


@pytest.fixture
def taken_port() -> int:
    return ports.free_port()


def test_a_free_port_can_be_listened_on_and_is_never_given_twice() -> None:
    given = [ports.free_port() for _ in range(50)]

    assert len(set(given)) == 50
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, given[0]))


def test_a_port_that_another_run_chose_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = "from darkroom.local.children import ports; print(ports.free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", choose], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(random, "randrange", lambda *_: theirs)
        with pytest.raises(LocalRuntimeError, match="no free port"):
            ports.free_port()
        other.communicate("\n")
    assert ports.free_port() == theirs
    ports.release(theirs)


def test_a_taken_port_is_refused_with_the_name_and_pid_of_its_holder(taken_port: int) -> None:
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, taken_port))
        server.listen()

        with pytest.raises(PortTakenError, match=rf"port {taken_port} is taken by \S+ \(pid {os.getpid()}\)"):
            ports.require_free(taken_port)


def test_a_port_without_a_listener_has_no_holder_and_is_not_refused(taken_port: int) -> None:
    assert ports.port_holder(taken_port) is None
    ports.require_free(taken_port)


def test_a_pair_of_ports_keeps_its_distance() -> None:
    first, second = ports.free_port_pair(10_000)

    assert second - first == 10_000
    assert ports.is_free(first)
    assert ports.is_free(second)
