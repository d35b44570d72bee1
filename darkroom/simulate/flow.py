"""One simulated Trigger: the events that its Broker keeps for it, and their deliveries.

`darkroom.local.eventing.delivery` decides what follows each delivery, as it does for the runtime's dispatcher.
JetStream hands out at most `max_ack_pending` events that are not acked; one that waits out a backoff keeps its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random

from darkroom.local.eventing.delivery import Action, Answered, DeliveryResult, Step, TimedOut, classify, next_step
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.model import Event, Flow
from darkroom.simulate.recording import PathRecorder
from darkroom.simulate.requests import Deadlines, Outcome, Request
from darkroom.simulate.service import SimulatedService

SUCCEEDED = Outcome.SUCCEEDED

Emit = Callable[[float, Event, "Message"], None]
"""Publishes an event that follows from another one."""


class Message:
    """An event on its way to one Trigger's subscriber."""

    __slots__ = ("arrived_s", "attempt", "cold", "item", "owner", "size")

    def __init__(self, arrived_s: float, size: float, owner: str) -> None:
        self.arrived_s = arrived_s
        self.size = size
        self.owner = owner
        self.attempt = 0
        """The index of the next or current delivery."""
        self.cold = False
        self.item = 0
        """Its number in the window."""


class Occasional:
    """An event that is sometimes emitted."""

    def __init__(self, event: Event, stream: Random, emit: Emit) -> None:
        self._event = event
        self._stream = stream
        self._emit = emit

    def emit(self, now_s: float, message: Message) -> None:
        if self._event.share >= 1 or self._stream.random() < self._event.share:
            self._emit(now_s, self._event, message)


class SimulatedFlow:
    def __init__(
        self,
        model: Flow,
        agenda: Agenda,
        subscriber: SimulatedService | None,
        dead_letter_sink: SimulatedService | None,
        recorder: PathRecorder,
        reply: Occasional | None,
    ) -> None:
        self.model = model
        self.events = self.delivered = self.retried = self.succeeded = self.dead_lettered = self.lost = 0
        self.longest_backlog = 0
        self._agenda = agenda
        self._subscriber = subscriber
        self._deadlines = None if subscriber is None else subscriber.deadlines(model.consumer.http_timeout_s)
        self._sink = None if dead_letter_sink is None else DeadLetters(self, dead_letter_sink)
        self._recorder = recorder
        self._hop_s = model.hop_s
        self._answer_hop_s = 0.0 if subscriber is None else subscriber.model.hop_s
        self._reply = reply
        self._max_ack_pending = model.consumer.max_ack_pending
        self._unacked = 0
        self._stored: deque[Message] = deque()
        self._window = None if model.window is None else model.window.open()
        self._numbers = count(1)
        self._outside: dict[int, Message] = {}
        """Events that wait for room in the window, by their numbers."""
        self._steps: dict[tuple[Outcome, int], Step] = {}

    @property
    def backlog(self) -> int:
        return len(self._stored) + len(self._outside)

    def publish(self, now_s: float, message: Message) -> None:
        self.events += 1
        if self._window is None:
            self._store(now_s, message)
            return
        message.item = next(self._numbers)
        if self._window.enter(message.item, message.owner, message.size):
            self._store(now_s, message)
        else:
            self._outside[message.item] = message
            self._note_backlog()

    def _store(self, now_s: float, message: Message) -> None:
        if self._unacked < self._max_ack_pending:
            self._unacked += 1
            if self._hop_s:
                self._agenda.enter(now_s + self._hop_s, self._send, message)
            else:
                self._send(now_s, message)
        else:
            self._stored.append(message)
            self._note_backlog()

    def _note_backlog(self) -> None:
        backlog = len(self._stored) + len(self._outside)
        if backlog > self.longest_backlog:
            self.longest_backlog = backlog

    def _send(self, now_s: float, message: Message) -> None:
        self.delivered += 1
        request = Request(self, message, message.size)
        if self._subscriber is None or self._deadlines is None:
            self._agenda.enter(now_s, self._accept, request)
        else:
            self._subscriber.arrive(now_s, request, self._deadlines)

    def _accept(self, now_s: float, request: Request) -> None:
        self.answered(now_s, request, Outcome.SUCCEEDED)

    def answered(self, now_s: float, request: Request, outcome: Outcome) -> None:
        message: Message = request.origin
        if request.cold:
            message.cold = True
        if outcome is SUCCEEDED:
            self._succeed(now_s, message)
            return
        step = self._step_after(outcome, message.attempt)
        if step.action is Action.REDELIVER:
            self.retried += 1
            message.attempt += 1
            self._agenda.enter(now_s + step.delay_s, self._send, message)
        elif step.action is Action.DEAD_LETTER:
            self._dead_letter(now_s, message)
        else:
            self.lost += 1
            self._ack(now_s, message)

    def _succeed(self, now_s: float, message: Message) -> None:
        self.succeeded += 1
        self._recorder.add(message.arrived_s, now_s + self._answer_hop_s, cold=message.cold)
        if self._reply is not None:
            self._reply.emit(now_s, message)
        self._ack(now_s, message)

    def _dead_letter(self, now_s: float, message: Message) -> None:
        if self._sink is None:
            self.settle_dead_letter(now_s, message, taken=True)
        else:
            self._sink.send(now_s, message)

    def settle_dead_letter(self, now_s: float, message: Message, *, taken: bool) -> None:
        """Ack an event after its one attempt at the dead-letter sink."""
        if taken:
            self.dead_lettered += 1
        else:
            self.lost += 1
        self._ack(now_s, message)

    def _ack(self, now_s: float, message: Message) -> None:
        self._unacked -= 1
        if self._stored:
            self._store(now_s, self._stored.popleft())
        if self._window is not None:
            for item in self._window.leave(message.item):
                self._store(now_s, self._outside.pop(item))

    def _step_after(self, outcome: Outcome, attempt: int) -> Step:
        step = self._steps.get((outcome, attempt))
        if step is None:
            disposition = classify(self._result_of(outcome))
            step = self._steps[outcome, attempt] = next_step(self.model.delivery, disposition, attempt)
        return step

    def _result_of(self, outcome: Outcome) -> DeliveryResult:
        if outcome is Outcome.GIVEN_UP:
            return TimedOut(timeout_s=self.model.consumer.http_timeout_s)
        if outcome is Outcome.FAILED and self._subscriber is not None:
            return Answered(status=self._subscriber.model.failure_status)
        return Answered(status=504 if outcome is Outcome.TIMED_OUT else 503)


class DeadLetters:
    """Sends a Trigger's dead letters to a simulated Service, with one attempt each."""

    def __init__(self, flow: SimulatedFlow, sink: SimulatedService) -> None:
        self._flow = flow
        self._sink = sink
        self._deadlines: Deadlines = sink.deadlines(flow.model.consumer.http_timeout_s)

    def send(self, now_s: float, message: Message) -> None:
        self._sink.arrive(now_s, Request(self, message, 1.0), self._deadlines)

    def answered(self, now_s: float, request: Request, outcome: Outcome) -> None:
        self._flow.settle_dead_letter(now_s, request.origin, taken=outcome is Outcome.SUCCEEDED)
