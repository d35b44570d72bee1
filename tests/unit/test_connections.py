"""Which connection a full server gives up first."""

from __future__ import annotations

from dataclasses import dataclass, field

from darkroom.connections import Arrival, ConnectionLimits, Connections
from darkroom.errors import DarkroomError

MIB = 1024 * 1024


@dataclass(eq=False)
class Sender:
    arrival: Arrival = field(default_factory=Arrival)
    reading: bool = True
    ended: bool = False

    def is_receiving(self) -> bool:
        return True

    def is_reading(self) -> bool:
        return self.reading

    def end(self, error: DarkroomError | None) -> None:
        self.ended = True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sender(connections: Connections, size: int) -> Sender:
    peer = Sender()
    connections.opened(peer)
    connections.received(peer, 100)
    connections.begin_request(peer)
    connections.received(peer, size)
    return peer


def test_short_bodies_that_stopped_are_given_up_before_long_ones() -> None:
    clock = Clock()
    connections = Connections(ConnectionLimits(max_open=4), clock=clock)
    long, first, second = (sender(connections, size) for size in (31 * MIB, 200, 200))
    clock.now += 1
    others = [sender(connections, 1) for _ in range(4)]
    assert (first.ended, second.ended) == (True, True), "the longest wait first"
    assert long.ended, "and a long one once no short one is left"
    assert not any(peer.ended for peer in others)
    assert connections.closed_early == 3


def test_a_sender_that_was_not_read_from_has_not_stopped() -> None:
    clock = Clock()
    connections = Connections(ConnectionLimits(max_open=2), clock=clock)
    paused, stopped = sender(connections, 200), sender(connections, 200)
    paused.reading = False
    for _ in range(5):
        clock.now += 1
        connections.sweep()
    clock.now += 0.9
    paused.reading = True
    connections.resumed(paused)
    sender(connections, 1)
    assert (paused.ended, stopped.ended) == (False, True)
