"""How long a client may take for a request, how many connections a server keeps, and which of them it closes first.

A connection costs a descriptor and memory as long as it is open, and nothing obliges a client to send the rest of what
it began. So heads and bodies have deadlines, and a server has a bound. A server that is full closes whoever has waited
longest: connections that never had a whole request first, bodies that have stopped where those take nearly all places
(short ones before long ones), and then connections that are kept between requests. A request that has come as a whole
is never given up.

Pure bookkeeping, which the servers of both halves share: nothing here reads, writes or knows a server. Deadlines of
bodies follow Apache's RequestReadTimeout: some time to begin with, and more with each byte that comes
(https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from darkroom.errors import DarkroomError, RequestTimeoutError, ServerBusyError

SWEEP_EVERY_S = 1.0
MAX_HEAD_BYTES = 128 * 1024
"""For the request line and all headers of a request together."""
_MAX_OPEN = 16 * 1024
"""Even where the system would allow more: each costs some ten kilobytes."""
_SILENT_AFTER_S = 0.5
"""A sender that is only slow sends something within this time, and is not the first to be given up."""
_DRIP_GRACE_S = 2.0
_DRIP_SHARE = 0.25
"""A body that came at less than this share of the least rate after its grace only drips."""
_WORTH_KEEPING_BYTES = 1024 * 1024
"""A body of which this much has come is given up after those of which less has: its client would send it all again."""
_NEWCOMERS_SHARE = 0.03
"""The share of places that bodies which stopped do not take from new connections."""
_NEWCOMER_GRACE_S = 0.1
"""The time in which a new connection can send its head before another takes its place."""
_OVERFLOW_SHARE = 0.125
"""How many more than `max_open` there may be for that time."""
_REPORT_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    max_open: int
    """The sum of the connections' costs: one each, and `request_cost` more while a request is under way."""
    request_cost: int = 0
    """1 for a proxy, which opens a connection of its own for each request."""
    head_s: float = 10.0
    """From a head's first byte to its last."""
    idle_s: float = 75.0
    """Without a byte of a request."""
    silence_s: float = 30.0
    """Between two pieces of a body."""
    body_grace_s: float = 30.0
    """For a whole body, to which each `min_bytes_per_s` adds a second."""
    min_bytes_per_s: int = 16 * 1024
    max_body_s: float = 290.0
    """For a whole body of any size."""


class Phase(Enum):
    IDLE = "idle"
    """Nothing of a request has come."""
    HEAD = "head"
    """Part of a head has come."""
    REST = "rest"
    """The rest of a body comes whose request was answered already."""
    REQUEST = "request"
    """A head has come; its body may still come."""


class Peer(Protocol):
    """A server's connection. `arrival` belongs to `Connections` alone."""

    arrival: Arrival

    def is_receiving(self) -> bool:
        """Whether part of the request's body is missing."""

    def is_reading(self) -> bool:
        """False while we do not read from it ourselves, because somebody behind us is slow."""

    def end(self, error: DarkroomError | None) -> None:
        """Answer the error, if nothing was answered yet, and close. None: close without an answer."""


@dataclass(kw_only=True)
class Arrival:
    """What has come on one connection, and when."""

    phase: Phase = Phase.IDLE
    opened_at: float = 0.0
    """When the connection was opened; only until its first request."""
    since: float = 0.0
    last_byte_at: float = 0.0
    received_bytes: int = 0
    """Of the head, then of the body."""
    paused_s: float = 0.0
    """How long we did not read the body."""


class Connections:
    """All connections of one server, whose event loop calls this from one thread."""

    def __init__(self, limits: ConnectionLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.closed_early = 0
        """How many connections were closed to make room for others."""
        self._clock = clock
        self._newcomers: dict[Peer, None] = {}
        """Without a whole request so far, the one that has waited longest first."""
        self._kept: dict[Peer, None] = {}
        """Without a whole head since their last request, in the same order."""
        self._requests: dict[Peer, None] = {}
        """In the order in which their heads were complete."""
        self._swept_at = clock()

    def __len__(self) -> int:
        return len(self._newcomers) + len(self._kept) + len(self._requests)

    def opened(self, peer: Peer) -> bool:
        """Take a new connection, in another one's place if necessary. False: there is no place, and it was ended."""
        now = self._clock()
        peer.arrival = Arrival(opened_at=now, since=now)
        if not self._make_room(1, beside=peer):
            peer.end(self._busy())
            return False
        self._newcomers[peer] = None
        return True

    def closed(self, peer: Peer) -> None:
        for places in (self._newcomers, self._kept, self._requests):
            places.pop(peer, None)

    def received(self, peer: Peer, size: int) -> None:
        """Count what came, before it is parsed."""
        arrival = peer.arrival
        arrival.last_byte_at = self._clock()
        if arrival.phase is Phase.IDLE:
            arrival.phase, arrival.since, arrival.received_bytes = Phase.HEAD, arrival.last_byte_at, 0
        arrival.received_bytes += size

    def resumed(self, peer: Peer) -> None:
        """Note that we read from it again: it could send nothing before, however long that was."""
        if peer in self._requests:
            peer.arrival.last_byte_at = self._clock()

    def has_too_long_a_head(self, peer: Peer) -> bool:
        return peer.arrival.phase is Phase.HEAD and peer.arrival.received_bytes > MAX_HEAD_BYTES

    def head_has_come(self, peer: Peer) -> None:
        """Note that what comes from now on belongs to the body, though `begin_request` is still to follow."""
        if peer.arrival.phase is Phase.HEAD:
            peer.arrival.phase = Phase.REQUEST

    def begin_request(self, peer: Peer) -> None:
        """Note that the head has come as a whole. Raises ServerBusyError if no more requests can be under way."""
        now = self._clock()
        peer.arrival = Arrival(phase=Phase.REQUEST, since=now, last_byte_at=now)
        self.closed(peer)
        self._requests[peer] = None
        if not self._make_room(0, beside=peer):
            raise self._busy()

    def end_request(self, peer: Peer, *, body_is_left: bool = False) -> None:
        """Note that the answer has gone. A body that nobody reads has as much time as a head."""
        if self._requests.pop(peer, peer) is None:
            phase = Phase.REST if body_is_left else Phase.IDLE
            peer.arrival = Arrival(phase=phase, since=self._clock())
            self._kept[peer] = None

    def rest(self, peer: Peer) -> None:
        """Note that nothing more is to come of a request that was answered before its end."""
        if peer in self._kept:
            peer.arrival = Arrival(since=self._clock())

    def sweep(self) -> None:
        """End what is over its deadline; to be called every SWEEP_EVERY_S."""
        now = self._clock()
        lasted_s, self._swept_at = now - self._swept_at, now
        for peer, error in [*self._overdue_heads(now), *self._overdue_bodies(now, lasted_s)]:
            self.closed(peer)
            peer.end(error)

    def _overdue_heads(self, now: float) -> Iterator[tuple[Peer, DarkroomError | None]]:
        limits = self.limits
        for peer in [*self._newcomers, *self._kept]:
            waited_s = now - peer.arrival.since
            if peer.arrival.phase is Phase.REST and waited_s > limits.head_s:
                yield peer, None
            elif peer.arrival.phase is Phase.HEAD and waited_s > limits.head_s:
                yield (
                    peer,
                    RequestTimeoutError(f"the request's head did not come within {limits.head_s:g} s, the limit"),
                )
            elif waited_s > limits.idle_s:
                yield peer, None

    def _overdue_bodies(self, now: float, lasted_s: float) -> Iterator[tuple[Peer, DarkroomError | None]]:
        limits = self.limits
        for peer in self._requests:
            arrival = peer.arrival
            if not peer.is_receiving():
                continue
            if not peer.is_reading():
                arrival.last_byte_at = now
                arrival.paused_s += lasted_s
                continue
            if now - arrival.last_byte_at > limits.silence_s:
                yield peer, RequestTimeoutError(f"no byte of the body came for {limits.silence_s:g} s, the limit")
                continue
            allowed_s = allowed_body_s(limits, arrival.received_bytes)
            if now - arrival.since - arrival.paused_s > allowed_s:
                yield peer, RequestTimeoutError(too_slow(arrival.received_bytes, allowed_s))

    def _make_room(self, more: int, *, beside: Peer) -> bool:
        while (over := self._cost() + more - self.limits.max_open) > 0:
            victim, error = self._least_missed(beside)
            if victim is None:
                return False
            is_new = self._clock() - victim.arrival.opened_at < _NEWCOMER_GRACE_S and victim in self._newcomers
            if is_new and over <= _OVERFLOW_SHARE * self.limits.max_open:
                return True
            self.closed_early += 1
            self.closed(victim)
            victim.end(error)
        return True

    def _cost(self) -> int:
        return len(self) + self.limits.request_cost * len(self._requests)

    def _least_missed(self, beside: Peer) -> tuple[Peer | None, DarkroomError | None]:
        if len(self._newcomers) > _NEWCOMERS_SHARE * self.limits.max_open:
            return next(iter(self._newcomers)), None
        if (stopped := self._longest_stopped(beside)) is not None:
            return stopped, RequestTimeoutError("the body stopped coming while others needed its place")
        return next(iter(self._newcomers or self._kept), None), None

    def _longest_stopped(self, beside: Peer) -> Peer | None:
        """Return the request that began first among those whose body stopped or only drips, with a short body if there
        is one.
        """
        now = self._clock()
        long: Peer | None = None
        for peer in self._requests:
            if peer is beside or not self._has_stopped(peer.arrival, now):
                continue
            if not (peer.is_receiving() and peer.is_reading()):
                continue
            if peer.arrival.received_bytes < _WORTH_KEEPING_BYTES:
                return peer
            long = long or peer
        return long

    def _has_stopped(self, arrival: Arrival, now: float) -> bool:
        if now - arrival.last_byte_at > _SILENT_AFTER_S:
            return True
        drip_s = now - arrival.since - arrival.paused_s - _DRIP_GRACE_S
        return arrival.received_bytes < drip_s * self.limits.min_bytes_per_s * _DRIP_SHARE

    def _busy(self) -> ServerBusyError:
        return ServerBusyError(f"the server has {len(self)} connections under way, as many as it can take")


def allowed_body_s(limits: ConnectionLimits, received_bytes: int) -> float:
    """Return how long a body may take of which this much has come."""
    return min(limits.body_grace_s + received_bytes / limits.min_bytes_per_s, limits.max_body_s)


def too_slow(received_bytes: int, allowed_s: float) -> str:
    return f"the body did not come in time: {received_bytes} bytes in {allowed_s:.0f} s, the limit for so few"


def descriptors() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_OPEN if soft == resource.RLIM_INFINITY else soft


def bounded(max_open: float) -> int:
    """Return a bound for `ConnectionLimits.max_open`, from the share of descriptors that a server may use."""
    return max(8, min(int(max_open), _MAX_OPEN))


class Repeats:
    """Reports what may happen thousands of times a second once in a while, with its count."""

    def __init__(self, report: Callable[[int], Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Wrap a report, which takes how often it happened since the last one."""
        self._report = report
        self._clock = clock
        self._count = 0
        self._reported_at = float("-inf")

    def happened(self) -> None:
        self._count += 1
        if self._clock() - self._reported_at >= _REPORT_EVERY_S:
            count, self._count, self._reported_at = self._count, 0, self._clock()
            self._report(count)


def is_out_of_descriptors(context: Mapping[str, Any]) -> bool:
    """Whether this call of asyncio's exception handler says that accept() found no descriptor or memory.

    asyncio pauses accepting for a second by itself (`_accept_connection` in selector_events.py), but calls the handler
    up to `backlog` times each time, with a traceback.
    """
    return str(context.get("message", "")).startswith("socket.accept() out of system resource")
