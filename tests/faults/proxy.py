"""A TCP proxy that can be told to delay, cut, swallow or refuse: what networks and dying servers do to a connection.

A manner holds for all connections as long as it is set. `lose_answers` instead loses exactly so many answers to one
command, and treats everything else well.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

_CHUNK_BYTES = 64 * 1024
_POLL_S = 0.02
_UNAVAILABLE = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How the proxy treats its connections, those that are open too."""

    delay_s: float = 0.0
    """Before each chunk that the server sends."""
    cut: bool = False
    """Break what is open, refuse what is new."""
    silent: bool = False
    """Take everything from the client and pass nothing on."""
    hold_back: bytes | None = None
    """From the chunk on in which the client sends this, pass nothing on that the client sends."""
    swallow_answers_to: bytes | None = None
    """From the chunk on in which the client sends this (b"" is anything), nothing that the server says arrives."""
    cut_after_bytes: int | None = None
    """Break a connection once the client has sent so many."""
    answer_503: bool = False
    """Answer every HTTP request so, instead of passing it on."""


WELL = Manner()


class AfterLoss(StrEnum):
    """What the proxy does to a connection whose answer it has swallowed."""

    CUT = "cut"
    SILENT = "silent"
    """Nothing more arrives, until the client gives up."""


@dataclass(kw_only=True)
class LostAnswers:
    """An order to lose the answers to the next `times` commands in which all of `marks` are found."""

    marks: tuple[bytes, ...]
    times: int
    then: AfterLoss
    lost: int = 0
    """So many came from the server, which has carried the command out therefore, and never reached the client."""


class Gate:
    """Counts the requests whose first line begins so, and passes on only the first `let_pass` of them while it is shut.

    A request that is held back arrives never, also not when the gate opens; its connection is open meanwhile.
    """

    def __init__(self, beginning: bytes, *, let_pass: int) -> None:
        self._beginning = beginning
        self._let_pass: int | None = let_pass
        self._lock = threading.Lock()
        self.passed: list[str] = []
        """The first lines of the requests that went through."""
        self.held = 0

    def open(self) -> None:
        self._let_pass = None

    def holds(self, chunk: bytes) -> bool:
        if not chunk.startswith(self._beginning):
            return False
        with self._lock:
            if self._let_pass is not None and len(self.passed) >= self._let_pass:
                self.held += 1
                return True
            self.passed.append(chunk.partition(b"\r\n")[0].decode())
            return False


class Proxy:
    """`target` is asked anew for each connection: a server may have moved meanwhile."""

    def __init__(self, target: Callable[[], tuple[str, int]]) -> None:
        self._target = target
        self.manner = WELL
        self._orders: list[LostAnswers] = []
        self._gates: list[Gate] = []
        self._lock = threading.Lock()
        self.swallowed = 0
        """How many connections have lost answers."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @contextmanager
    def being(self, manner: Manner) -> Iterator[None]:
        self.manner = manner
        try:
            yield
        finally:
            self.manner = WELL

    def lose_answers(self, *marks: bytes, times: int = 1, then: AfterLoss) -> LostAnswers:
        """Beside the orders that were given before."""
        order = LostAnswers(marks=marks, times=times, then=then)
        with self._lock:
            self._orders.append(order)
        return order

    def gate(self, beginning: bytes, *, let_pass: int) -> Gate:
        gate = Gate(beginning, let_pass=let_pass)
        self._gates.append(gate)
        return gate

    def _is_held(self, chunk: bytes) -> bool:
        """Whether a gate holds this chunk back; each gate counts it."""
        held = [gate.holds(chunk) for gate in self._gates]
        return any(held)

    def _order_for(self, chunk: bytes) -> LostAnswers | None:
        """The order that this chunk falls under, which has one loss less to make then."""
        with self._lock:
            for order in self._orders:
                if order.times and all(mark in chunk for mark in order.marks):
                    order.times -= 1
                    return order
        return None

    def _lose(self, order: LostAnswers, client: socket.socket, server: socket.socket) -> None:
        server.recv(_CHUNK_BYTES)
        with self._lock:
            order.lost += 1
        if order.then is AfterLoss.CUT:
            _reset(client)
            return
        client.settimeout(_POLL_S)
        while not self._closed.is_set():
            with suppress(TimeoutError):
                if not client.recv(_CHUNK_BYTES):
                    return

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            readable, _, _ = select.select([self._listener], [], [], _POLL_S)
            if not readable:
                continue
            client, _ = self._listener.accept()
            if self.manner.cut:
                _reset(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target(), timeout=5)
        except (OSError, KeyError):  # nobody there, or nobody knows yet where it is
            _reset(client)
            return
        with client, server:
            try:
                self._pump(client, server)
            except OSError:
                return  # one side is gone; the other is closed with it

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        sent, swallowing, holding = 0, False, False
        while not self._closed.is_set():
            manner = self.manner
            if manner.cut:
                _reset(client)
                return
            swallowing = swallowing and manner.swallow_answers_to is not None
            holding = holding and (manner.hold_back is not None or bool(self._gates))
            readable, _, _ = select.select([client, server], [], [], _POLL_S)
            if client in readable:
                chunk = client.recv(_CHUNK_BYTES)
                if not chunk:
                    return
                sent += len(chunk)
                if manner.answer_503:
                    client.sendall(_UNAVAILABLE)
                    return
                if manner.cut_after_bytes is not None and sent >= manner.cut_after_bytes:
                    _reset(client)
                    return
                if manner.swallow_answers_to is not None and manner.swallow_answers_to in chunk and not swallowing:
                    swallowing = True
                    self.swallowed += 1
                holding = holding or (manner.hold_back is not None and manner.hold_back in chunk)
                holding = self._is_held(chunk) or holding
                if not manner.silent and not holding:
                    server.sendall(chunk)
                if order := self._order_for(chunk):
                    self._lose(order, client, server)
                    return
            if server in readable:
                chunk = server.recv(_CHUNK_BYTES)
                if not chunk:
                    return
                if manner.delay_s:
                    time.sleep(manner.delay_s)
                if not swallowing and not manner.silent:
                    client.sendall(chunk)


def _reset(connection: socket.socket) -> None:
    """RST rather than FIN: an end that nobody can take for an orderly one."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
