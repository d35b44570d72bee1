from __future__ import annotations

import os
import socket

import pytest

from darkroom.local.children import ports
from darkroom.local.errors import PortTakenError


@pytest.fixture
def taken_port() -> int:
    return ports.free_port()


def test_a_free_port_can_be_listened_on_and_is_never_given_twice() -> None:
    given = [ports.free_port() for _ in range(50)]

    assert len(set(given)) == 50
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, given[0]))


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
