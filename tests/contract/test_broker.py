"""The promises of every emitter, and the HTTP emitter's behaviour when the sink fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from darkroom.adapters.broker import Emitter
from darkroom.adapters.broker.circuit import Circuit
from darkroom.adapters.broker.http import HttpEmitter
from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent, new_event, parse_one
from tests.scripted_http import Received, Reply, ScriptedServer, scripted_server

EVENT = new_event(
    "dev.darkroom.resize.requested",
    "/darkroom/ingest",
    {"job_id": "1", "title": "Grüße"},
    id="1.1",
    subject="1",
    extensions={"requestid": "r-1"},
)
TAKEN = Reply(status=202)


def as_event(received: Received) -> CloudEvent:
    return parse_one(received.headers, received.body)


@dataclass(frozen=True, kw_only=True)
class Wired:
    """An emitter, and where its events arrive."""

    emitter: Emitter
    memory: MemoryEmitter | None = None
    server: ScriptedServer | None = None

    def arrived(self) -> list[CloudEvent]:
        if self.memory is not None:
            return self.memory.events
        return [] if self.server is None else [as_event(received) for received in self.server.received]


@pytest.fixture(params=["memory", "http"])
def wired(request: pytest.FixtureRequest) -> Iterator[Wired]:
    if request.param == "memory":
        memory = MemoryEmitter()
        yield Wired(emitter=memory, memory=memory)
        return
    with scripted_server(TAKEN) as server:
        emitter = HttpEmitter(server.url)
        yield Wired(emitter=emitter, server=server)
        emitter.close()


def test_an_emitted_event_arrives_as_it_is(wired: Wired) -> None:
    wired.emitter.emit(EVENT)

    assert wired.arrived() == [EVENT]


def test_an_event_emitted_twice_arrives_twice_under_one_id(wired: Wired) -> None:
    wired.emitter.emit(EVENT)
    wired.emitter.emit(EVENT)

    assert [event.id for event in wired.arrived()] == [EVENT.id, EVENT.id]


def test_the_fake_can_be_down_and_can_lose_its_answer() -> None:
    broker = MemoryEmitter()
    broker.is_down = True
    with pytest.raises(DependencyUnavailableError):
        broker.emit(EVENT)
    assert broker.events == []

    broker.is_down, broker.loses_answers = False, True
    with pytest.raises(DependencyUnavailableError):
        broker.emit(EVENT)
    assert broker.events == [EVENT]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_means_the_sink_has_it(status: int) -> None:
    with scripted_server(Reply(status=status)) as server:
        HttpEmitter(server.url).emit(EVENT)

    assert len(server.received) == 1


@pytest.mark.parametrize("fault", [Reply(status=500), Reply(status=503), Reply(status=429), Reply(hangs_up=True)])
def test_a_moments_fault_is_tried_again_with_the_same_event(fault: Reply) -> None:
    with scripted_server(fault, fault, TAKEN) as server:
        HttpEmitter(server.url).emit(EVENT)

    assert [as_event(received) for received in server.received] == [EVENT] * 3


@pytest.mark.parametrize("status", [301, 307, 400, 404, 413])
def test_a_plain_no_is_not_asked_again_and_leaves_the_circuit_closed(status: int) -> None:
    circuit = Circuit(failures_to_open=1)
    refusal = Reply(status=status, headers={"Location": "/elsewhere"})
    with (
        scripted_server(refusal) as server,
        pytest.raises(DependencyUnavailableError, match=f"broker: the event was answered {status}"),
    ):
        HttpEmitter(server.url, circuit=circuit).emit(EVENT)

    assert len(server.received) == 1
    assert circuit.is_closed


def test_overrides_are_set_on_every_event() -> None:
    with scripted_server(TAKEN) as server:
        HttpEmitter(server.url, ce_overrides={"cluster": "north", "requestid": "theirs"}).emit(EVENT)

    assert as_event(server.received[0]).extensions == {"requestid": "theirs", "cluster": "north"}


def test_a_sink_that_is_down_is_left_alone_for_a_moment() -> None:
    now_s = [0.0]
    circuit = Circuit(failures_to_open=3, open_s=2.0, clock=lambda: now_s[0])
    with scripted_server(Reply(status=503), Reply(status=503), Reply(status=503), TAKEN) as server:
        emitter = HttpEmitter(server.url, circuit=circuit)
        for _ in range(5):
            with pytest.raises(DependencyUnavailableError, match="broker: "):
                emitter.emit(EVENT)
        assert len(server.received) == 3, "the circuit opened within the first emission"

        now_s[0] = 2.0
        emitter.emit(EVENT)
        emitter.emit(EVENT)

    assert len(server.received) == 5


def test_an_emission_ends_within_its_deadline_when_the_sink_hangs() -> None:
    never = threading.Event()
    with scripted_server(Reply(waits_for=never)) as server:
        emitter = HttpEmitter(server.url, deadline_s=0.5, attempt_timeout_s=0.1, circuit=Circuit(failures_to_open=99))
        with pytest.raises(
            DependencyUnavailableError, match=r"TimeoutError, no answer after \d+\.\d+ s, the limit is 0\.\d+ s"
        ):
            emitter.emit(EVENT)
        never.set()

    assert 1 <= len(server.received) <= 5


def test_a_probe_of_a_sink_that_hangs_does_not_wait_as_long_as_an_emission() -> None:
    """The caller gets its error long before the attempt's own time is up."""
    never = threading.Event()
    now_s = [0.0]
    circuit = Circuit(failures_to_open=1, open_s=2.0, clock=lambda: now_s[0])
    with scripted_server(Reply(status=503), Reply(waits_for=never)) as server:
        emitter = HttpEmitter(server.url, deadline_s=600, attempt_timeout_s=600, probe_timeout_s=0.05, circuit=circuit)
        for _ in range(2):
            with pytest.raises(DependencyUnavailableError):
                emitter.emit(EVENT)
            now_s[0] += 2.0
        never.set()

    assert len(server.received) == 2


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(DependencyUnavailableError, match=r"broker: .*ConnectionRefusedError") as raised:
        HttpEmitter("http://127.0.0.1:9").emit(EVENT)

    assert raised.value.dependency == "broker"


# --- the circuit by itself -------------------------------------------------------------------------------------------


class TestCircuit:
    @pytest.fixture(autouse=True)
    def _circuit(self) -> None:
        self.now_s = 100.0
        self.circuit = Circuit(failures_to_open=3, open_s=2.0, clock=lambda: self.now_s)

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.circuit.failed()

    def test_it_stays_closed_below_its_limit(self) -> None:
        self.fail(2)
        assert self.circuit.may_pass()

    def test_a_success_forgives_earlier_failures(self) -> None:
        self.fail(2)
        self.circuit.succeeded()
        self.fail(2)
        assert self.circuit.may_pass()

    def test_it_opens_after_failures_in_a_row(self) -> None:
        self.fail(3)
        assert not self.circuit.may_pass()
        self.now_s += 1.9
        assert not self.circuit.may_pass()

    def test_one_probe_passes_when_the_time_is_up(self) -> None:
        self.fail(3)
        self.now_s += 2
        assert [self.circuit.may_pass() for _ in range(3)] == [True, False, False]

    def test_a_probe_that_fails_opens_it_again(self) -> None:
        self.fail(3)
        self.now_s += 2
        assert self.circuit.may_pass()
        self.circuit.failed()
        self.now_s += 1.9
        assert not self.circuit.may_pass()

    def test_a_probe_that_succeeds_closes_it(self) -> None:
        self.fail(3)
        self.now_s += 2
        assert self.circuit.may_pass()
        self.circuit.succeeded()
        assert all(self.circuit.may_pass() for _ in range(3))
        assert self.circuit.is_closed

    def test_a_probe_that_never_returns_is_followed_by_another(self) -> None:
        self.fail(3)
        self.now_s += 2
        assert self.circuit.may_pass()
        self.now_s += 2
        assert self.circuit.may_pass()
