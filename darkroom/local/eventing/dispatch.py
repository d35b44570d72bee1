"""Delivers the events of a Trigger or Subscription: from its JetStream consumer to its subscriber, with retries,
replies and dead letters. What only Triggers have is in `Dispatcher` too; `subscriptions` says what differs.

`delivery` decides what follows a delivery; this module carries it out. An event that a cluster would lose is lost here
too, but it is reported.

The retries of the whole system, in the same words as in docs/reliability.md: one immediate retry inside the function
for what storage or Redis refused for a moment; then the Trigger's backoff, three times, 1, 2 and 4 s apart; then the
dead letter, which recovery emits again while attempts are left, later each time; then a person.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.broker import Ingress, has_ttl, inherit_ttl, without_ttl
from darkroom.local.eventing.delivery import (
    Action,
    Answered,
    ConsumerSettings,
    DeliveryResult,
    DeliverySpec,
    Disposition,
    ReplyFailed,
    Step,
    classify,
    dead_letter_extensions,
    explain_failure,
    format_result,
    is_success,
    next_step,
)
from darkroom.local.eventing.doors import Cause, Door, Entrance, come_by, enter, entrance
from darkroom.local.eventing.filters import passes
from darkroom.local.eventing.receivers import Receiver
from darkroom.local.eventing.record.entries import Attempted
from darkroom.local.eventing.stream import ChannelAddress, ChannelStream, StoredEvent
from darkroom.local.eventing.subscribers import Attempt, Deliver
from darkroom.local.reporting import Report
from darkroom.manifests import Trigger
from darkroom.telemetry import Span, names

STOP_GRACE_S = 5.0
NO_TTL = Answered(status=400, body=b"the event has no TTL: it was put on the stream past the Broker's ingress")
"""The broker's filter refuses such an event (knative/eventing, pkg/broker/filter/filter_handler.go)."""
COUNTED = ("delivered", "retried", "dead_lettered", "lost")
"""The names of a dispatcher's counts, as metrics have them."""
REPLIED = "replied"
"""Counted too: the deliveries that were answered with an event."""
_SUCCEEDED = (Action.ACK, Action.REPLY)


async def as_asked(event: CloudEvent, delay_s: float) -> float:
    """Leave the whole delay before a redelivery to NATS."""
    return delay_s


@dataclass(frozen=True, kw_only=True)
class Route:
    """A Trigger or Subscription with everything that its deliveries need."""

    receiver: Receiver
    label: str
    """How reports and metrics name the receiver: its name, with the namespace before it where that is ambiguous."""
    origin: ChannelAddress
    """The Broker or channel."""
    stream: ChannelStream
    delivery: DeliverySpec
    consumer: ConsumerSettings
    subscriber_name: str
    subscriber: Deliver
    dead_letter_sink: Deliver | None
    dead_letter_name: str = ""
    """The sink's URL, as a cluster resolves it."""
    before_redelivery: Callable[[CloudEvent, float], Awaitable[float]] = as_asked
    """Is given the delay in seconds that the delivery rules ask for, and returns what NATS shall wait. A test's clock
    returns less, at once or after a wait of its own."""

    @property
    def trigger(self) -> Trigger:
        if not isinstance(self.receiver, Trigger):
            raise TypeError(f"{self.label} is a Subscription")
        return self.receiver

    @property
    def broker(self) -> ChannelAddress:
        """Return the Trigger's Broker."""
        return self.origin


class Dispatcher:
    """Delivers the events of one Trigger. Its consumer's max_ack_pending limits the deliveries in flight."""

    kind = "trigger"

    def __init__(self, route: Route, ingress: Ingress, report: Report) -> None:
        self.route = route
        self.counts: Counter[str] = Counter()
        self.last_failure: Mapping[str, Any] | None = None
        """The last delivery that failed: `at` in seconds since the epoch, the event's `id` and `type`, `outcome`,
        `status` (None: there was no answer) and `why`."""
        self.last_lost: Mapping[str, Any] | None = None
        """The last event that was lost, with the same members."""
        self.last_accepted_at: float | None = None
        """When a subscriber last took an event, in seconds since the epoch."""
        self.progressed_at = time.time()
        """When an event last ended, however it did, or the first came after none was under way."""
        self._ingress = ingress
        self._recorder = ingress.recorder
        self._report = report
        self._subscription: Subscription | None = None
        self._in_flight: dict[asyncio.Task[None], Msg] = {}
        self._progress_task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.route.label

    @property
    def _named(self) -> dict[str, str]:
        """Name the receiver in reports."""
        return {self.kind: self.name}

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    async def start(self, connection: Client) -> None:
        await self.route.stream.reclaim(self.route.receiver, self.route.consumer)
        subject = await self.ensure_consumer()
        self._subscription = await connection.subscribe(subject, cb=self._receive)
        self._progress_task = asyncio.create_task(
            self._keep_in_progress(), name=f"{self.kind} {self.name}: in progress"
        )

    async def ensure_consumer(self) -> str:
        """Create the consumer, also after a nats-server has lost its data; returns the subject of the deliveries."""
        return await self.route.stream.ensure_consumer(self.route.receiver, self.route.consumer)

    async def stop(self) -> None:
        """Accept no new deliveries, and give those in progress a moment. What is not acked is redelivered next time."""
        try:
            if self._subscription is not None:
                await self._unsubscribe(self._subscription)
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=STOP_GRACE_S)
        finally:
            tasks = [*self._in_flight, *([self._progress_task] if self._progress_task else [])]
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _unsubscribe(self, subscription: Subscription) -> None:
        try:
            await subscription.unsubscribe()
        except nats.errors.Error as exc:
            self._report(f"{self.kind}.unsubscribe_failed", **self._named, error=repr(exc))

    async def _receive(self, message: Msg) -> None:
        try:
            stored = self.route.stream.decode(message.data)
        except (EventInvalidError, ValueError) as exc:
            # Only a message that bypassed the ingress can be unreadable. Redelivery would not help.
            self._report("event.unreadable", **self._named, error=str(exc))
            await self._until_acked(message.term(), "unreadable")
            return
        event = stored.event
        if not self._accepts(stored):
            # Most events are for other Triggers and not worth a task.
            await self._until_acked(message.ack(), event.id)
            return
        if not self._in_flight:
            self.progressed_at = time.time()
        task = asyncio.create_task(
            self._until_acked(self._deliver(message, event), event.id), name=f"{self.kind} {self.name}: delivery"
        )
        self._in_flight[task] = message
        task.add_done_callback(self._in_flight.pop)

    def _accepts(self, stored: StoredEvent) -> bool:
        """Report whether an event goes on to the subscriber. One without a TTL does, to be refused there."""
        return not has_ttl(stored.event) or passes(self.route.trigger.spec, stored.texts)

    async def _until_acked(self, work: Coroutine[Any, Any, None], event_id: str) -> None:
        try:
            await work
        except nats.errors.Error as exc:
            # The ack did not arrive, so NATS redelivers the event. The job's claim recognises the duplicate.
            self._report("delivery.not_acked", **self._named, id=event_id, error=repr(exc))

    async def _deliver(self, message: Msg, event: CloudEvent) -> None:
        attempt_index, began_at = message.metadata.num_delivered - 1, time.time()
        cause = self._cause(event, message.metadata.sequence.stream)
        with spans.delivery_span(event, self.name, self.route.origin[1]) as span:
            attempt = await self._attempt(event, cause)
            result = await self._after_reply(event, attempt)
            _record_attempt(span, result, attempt_index)
        step = next_step(self.route.delivery, classify(result), attempt_index)
        self.counts["delivered"] += 1
        self._record(cause, event, attempt, result, step, attempt_index, began_at)
        await self._carry_out(step, message, event, result, attempt_index, cause)

    async def replay(self, event: CloudEvent, sequence: int) -> Attempt:
        """Send an event to this Trigger's subscriber only, once, past the Broker. A reply goes to the Broker."""
        began_at, cause = time.time(), self._cause(event, sequence)
        with enter(entrance()):
            attempt = await self._attempt(event, cause)
        succeeded = classify(attempt.result) in {Disposition.ACCEPTED, Disposition.REPLY}
        action = Action.DROP if not succeeded else Action.ACK if attempt.reply is None else Action.REPLY
        self._record(cause, event, attempt, attempt.result, Step(action=action), 0, began_at)
        return attempt

    def _cause(self, event: CloudEvent, sequence: int) -> Cause:
        receiver, origin = self.route.receiver, "/".join(self.route.origin)
        name = f"{receiver.namespace}/{receiver.name}"
        return Cause(broker=origin, trigger=name, id=event.id, source=event.source, sequence=sequence)

    def _record(
        self,
        cause: Cause,
        event: CloudEvent,
        attempt: Attempt,
        result: DeliveryResult,
        step: Step,
        attempt_index: int,
        began_at: float,
    ) -> None:
        """Record an attempt, whose result a reply that was not taken may have changed."""
        recorder = self._recorder
        if not recorder.is_on:
            return
        is_published = step.action is Action.REPLY and attempt.reply is not None
        status = result.status if isinstance(result, Answered) else None
        recorder.attempted(
            Attempted(
                number=recorder.next_number(),
                at=began_at,
                broker=cause.broker,
                trigger=cause.trigger,
                id=cause.id,
                source=cause.source,
                type=event.type,
                sequence=cause.sequence,
                attempt=attempt_index + 1,
                lasted_s=time.time() - began_at,
                action=step.action,
                outcome=str(status) if is_published and status is not None else format_result(result),
                status=status,
                why=explain_failure(result) or None if step.action not in _SUCCEEDED else None,
                next_in_s=step.delay_s if step.action is Action.REDELIVER else None,
                reply_id=attempt.reply.id if is_published and attempt.reply is not None else None,
                reply_type=attempt.reply.type if is_published and attempt.reply is not None else None,
            )
        )

    async def _attempt(self, event: CloudEvent, cause: Cause) -> Attempt:
        if not has_ttl(event):
            return Attempt(result=NO_TTL)
        come_by(Entrance(door=Door.DELIVERY, cause=cause))
        attempt = await self.route.subscriber(without_ttl(event), self.route.consumer.http_timeout_s)
        come_by(Entrance(door=Door.REPLY, cause=cause))
        return await self._publish_reply(event, attempt)

    async def _publish_reply(self, event: CloudEvent, attempt: Attempt) -> Attempt:
        """Publish a reply, if there is one. If the Broker does not accept it, the delivery has failed."""
        if attempt.reply is None:
            return attempt
        try:
            with spans.reply_span(attempt.reply, self.route.broker[1]):
                await self._ingress.publish(self.route.broker, inherit_ttl(attempt.reply, from_event=event))
        except (DependencyUnavailableError, EventInvalidError) as exc:
            self._report("reply.not_published", trigger=self.name, id=event.id, error=exc.detail)
            return replace(attempt, result=Answered(status=500, body=exc.detail.encode()))
        return attempt

    async def _after_reply(self, event: CloudEvent, attempt: Attempt) -> DeliveryResult:
        """Return an attempt's result once its reply is where it should be. A Trigger's is with the Broker already."""
        return attempt.result

    def _error_extensions(self, result: DeliveryResult) -> Mapping[str, str]:
        return dead_letter_extensions(result, self.route.subscriber_name)

    async def _carry_out(
        self,
        step: Step,
        message: Msg,
        event: CloudEvent,
        result: DeliveryResult,
        attempt_index: int,
        cause: Cause,
    ) -> None:
        shown: dict[str, str | None] = {**self._named, "id": event.id, "type": event.type, "subject": event.subject}
        if step.action is not Action.REDELIVER:
            self.progressed_at = time.time()
        match step.action:
            case Action.ACK | Action.REPLY:
                self.last_accepted_at = self.progressed_at
                self.counts[REPLIED] += step.action is Action.REPLY
                self._report("delivery.accepted", **shown, attempt=attempt_index + 1)
                await message.ack()
            case Action.REDELIVER:
                self.counts["retried"] += 1
                self._report(
                    "delivery.retried",
                    **shown,
                    attempt=attempt_index + 1,
                    outcome=format_result(result),
                    why=self._failed(event, result),
                    next_in_s=step.delay_s,
                )
                await message.nak(delay=await self.route.before_redelivery(event, step.delay_s))
            case Action.DEAD_LETTER:
                await self._dead_letter(event, result, shown, cause)
                await message.ack()
            case Action.DROP:
                self._failed(event, result)
                self._report_lost(shown, result, cause, why=_why_lost(self.route.delivery, result, attempt_index))
                await message.ack()

    async def _dead_letter(
        self, event: CloudEvent, result: DeliveryResult, shown: dict[str, str | None], cause: Cause
    ) -> None:
        """Send a dead letter, with one attempt: as on a cluster, the event is lost if the dead-letter sink fails."""
        sink, why = self.route.dead_letter_sink, self._failed(event, result)
        if sink is None:
            raise RuntimeError("a dead letter without a sink")
        letter = without_ttl(event).with_extensions(**self._error_extensions(result))
        span_name = f"{self.name} to the dead-letter sink"
        come_by(Entrance(door=Door.DEAD_LETTER, cause=cause))
        with spans.delivery_span(letter, span_name, self.route.origin[1]) as span:
            attempt = await sink(letter, self.route.consumer.http_timeout_s)
            _record_attempt(span, attempt.result, 0)
        if is_success(attempt.result):
            self.counts["dead_lettered"] += 1
            self._report("event.dead_lettered", **shown, outcome=format_result(result), why=why)
            self._recorder.dead_lettered(
                **cause._asdict(),
                type=event.type,
                sink=self.route.dead_letter_name,
                outcome=format_result(attempt.result),
            )
        else:
            self._report_lost(shown, result, cause, why=f"the dead-letter sink: {format_result(attempt.result)}")

    def _failed(self, event: CloudEvent, result: DeliveryResult) -> str:
        """Keep a failed delivery for the status; returns why it failed."""
        why = explain_failure(result)
        self.last_failure = _told(result, event.id, event.type, why)
        return why

    def _report_lost(self, shown: dict[str, str | None], result: DeliveryResult, cause: Cause, *, why: str) -> None:
        self.counts["lost"] += 1
        self.last_lost = _told(result, shown["id"], shown["type"], why)
        self._recorder.lost(**cause._asdict(), type=shown["type"], why=why)
        self._report("event.lost", **shown, outcome=format_result(result), why=why)

    async def _keep_in_progress(self) -> None:
        """Extend the ackWait of deliveries in flight: one that waits for an instance or its function is not lost."""
        while True:
            await asyncio.sleep(self.route.consumer.ack_wait_s / 3)
            for message in list(self._in_flight.values()):
                try:
                    await message.in_progress()
                except nats.errors.Error as exc:
                    self._report("delivery.not_prolonged", **self._named, error=repr(exc))
                    break


def _record_attempt(span: Span, result: DeliveryResult, attempt_index: int) -> None:
    span.set(attempt=attempt_index + 1)
    if isinstance(result, Answered):
        span.set({names.HTTP_STATUS: result.status})
    if classify(result) not in {Disposition.ACCEPTED, Disposition.REPLY}:
        code = str(result.status) if isinstance(result, Answered) else type(result).__name__
        span.failed(code, format_result(result))


def _told(result: DeliveryResult, id: str | None, type: str | None, why: str) -> Mapping[str, Any]:
    """Return what the status says of a delivery that failed."""
    status = result.status if isinstance(result, Answered) else None
    return {"at": time.time(), "id": id, "type": type, "outcome": format_result(result), "status": status, "why": why}


def _why_lost(delivery: DeliverySpec, result: DeliveryResult, attempt_index: int) -> str:
    why = explain_failure(result)
    if isinstance(result, ReplyFailed):
        return f"{why}. There is no deadLetterSink"
    if attempt_index < delivery.retry:
        return why
    return f"{why}. The retries are spent and there is no deadLetterSink"
