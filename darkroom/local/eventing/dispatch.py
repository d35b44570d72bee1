"""Delivers the events of a Trigger or Subscription: from its JetStream consumer to its subscriber, with retries,
replies and dead letters.

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
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from darkroom.errors import EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.broker import without_ttl
from darkroom.local.eventing.broker_filter import accepts
from darkroom.local.eventing.delivery import (
    Action,
    Answered,
    ConsumerSettings,
    DeliveryResult,
    DeliverySpec,
    Disposition,
    ReplyFailed,
    SendResult,
    Step,
    classify,
    dead_letter_extensions,
    explain_failure,
    format_result,
    is_sent_again,
    is_success,
    next_step,
)
from darkroom.local.eventing.receivers import Receiver
from darkroom.local.eventing.stream import ChannelAddress, ChannelStream
from darkroom.local.eventing.subscribers import Deliver
from darkroom.local.reporting import Report
from darkroom.manifests import Trigger
from darkroom.telemetry import Span, names

STOP_GRACE_S = 5.0
COUNTED = ("delivered", "retried", "dead_lettered", "lost")
"""The names of a dispatcher's counts."""


@dataclass(frozen=True, kw_only=True)
class ReplyDestination:
    """Where a Subscription sends what its subscriber answers. A Trigger's replies are its Broker's business."""

    url: str
    deliver: Deliver


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
    reply: ReplyDestination | None = None
    dead_letter_sink: Deliver | None

    @property
    def kind(self) -> str:
        return "trigger" if isinstance(self.receiver, Trigger) else "subscription"


class Dispatcher:
    """Delivers the events of one receiver. Its consumer's max_ack_pending limits the deliveries in flight."""

    def __init__(self, route: Route, report: Report) -> None:
        self.route = route
        self.counts: Counter[str] = Counter()
        self.last_failure: Mapping[str, Any] | None = None
        """The last delivery that failed: `at` in seconds since the epoch, the event's `id`, `outcome` and `why`."""
        self._report = report
        self._names = {route.kind: route.label}
        """Names the receiver in reports."""
        self._subscription: Subscription | None = None
        self._in_flight: dict[asyncio.Task[None], Msg] = {}
        self._progress_task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.route.label

    @property
    def _title(self) -> str:
        return f"{self.route.kind} {self.name}"

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    async def start(self, connection: Client) -> None:
        await self.route.stream.reclaim(self.route.receiver, self.route.consumer)
        subject = await self.ensure_consumer()
        self._subscription = await connection.subscribe(subject, cb=self._receive)
        self._progress_task = asyncio.create_task(self._keep_in_progress(), name=f"{self._title}: in progress")

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
            self._report(f"{self.route.kind}.unsubscribe_failed", **self._names, error=repr(exc))

    async def _receive(self, message: Msg) -> None:
        try:
            stored = self.route.stream.decode(message.data)
        except (EventInvalidError, ValueError) as exc:
            # Only a message that bypassed the ingress can be unreadable. Redelivery would not help.
            self._report("event.unreadable", **self._names, error=str(exc))
            await self._until_acked(message.term(), "unreadable")
            return
        event = stored.event
        if not accepts(self.route.receiver, stored):
            # Most events are for other Triggers and not worth a task.
            await self._until_acked(message.ack(), event.id)
            return
        task = asyncio.create_task(
            self._until_acked(self._deliver(message, event), event.id), name=f"{self._title}: delivery"
        )
        self._in_flight[task] = message
        task.add_done_callback(self._in_flight.pop)

    async def _until_acked(self, work: Coroutine[Any, Any, None], event_id: str) -> None:
        try:
            await work
        except nats.errors.Error as exc:
            # The ack did not arrive, so NATS redelivers the event. The job's claim recognises the duplicate.
            self._report("delivery.not_acked", **self._names, id=event_id, error=repr(exc))

    async def _deliver(self, message: Msg, event: CloudEvent) -> None:
        attempt_index = message.metadata.num_delivered - 1
        with spans.delivery_span(event, self.name, self.route.origin[1]) as span:
            result = await self._attempt(event)
            _record_attempt(span, result, attempt_index)
        step = next_step(self.route.delivery, classify(result), attempt_index)
        self.counts["delivered"] += 1
        await self._carry_out(step, message, event, result, attempt_index)

    async def _attempt(self, event: CloudEvent) -> DeliveryResult:
        attempt = await self.route.subscriber(event, self.route.consumer.http_timeout_s)
        destination = self.route.reply
        if attempt.reply is None or destination is None:
            return attempt.result
        with spans.reply_span(attempt.reply, destination.url):
            result = await self._send_reply(attempt.reply, destination)
        if is_success(result):
            return attempt.result
        self._report("reply.not_sent", **self._names, id=event.id, to=destination.url, error=format_result(result))
        return ReplyFailed(destination=destination.url, result=result)

    async def _send_reply(self, reply: CloudEvent, destination: ReplyDestination) -> SendResult:
        """Send a reply, with the retries and the backoff of the delivery block, as a channel's dispatcher does."""
        delivery = self.route.delivery
        for index in range(delivery.retry):
            result = (await destination.deliver(reply, self.route.consumer.http_timeout_s)).result
            if not is_sent_again(result):
                return result
            await asyncio.sleep(delivery.backoff_s(index))
        return (await destination.deliver(reply, self.route.consumer.http_timeout_s)).result

    async def _carry_out(
        self, step: Step, message: Msg, event: CloudEvent, result: DeliveryResult, attempt_index: int
    ) -> None:
        shown: dict[str, str | None] = {**self._names, "id": event.id, "type": event.type, "subject": event.subject}
        match step.action:
            case Action.ACK | Action.REPLY:
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
                await message.nak(delay=step.delay_s)
            case Action.DEAD_LETTER:
                await self._dead_letter(event, result, shown)
                await message.ack()
            case Action.DROP:
                self._failed(event, result)
                self._report_lost(shown, result, why=_why_lost(self.route.delivery, result, attempt_index))
                await message.ack()

    async def _dead_letter(self, event: CloudEvent, result: DeliveryResult, shown: dict[str, str | None]) -> None:
        """Send a dead letter, with one attempt: as on a cluster, the event is lost if the dead-letter sink fails."""
        sink, why = self.route.dead_letter_sink, self._failed(event, result)
        if sink is None:
            raise RuntimeError("a dead letter without a sink")
        extensions = dead_letter_extensions(
            result, self.route.subscriber_name, through_filter=isinstance(self.route.receiver, Trigger)
        )
        letter = without_ttl(event).with_extensions(**extensions)
        with spans.delivery_span(letter, f"{self.name} to the dead-letter sink", self.route.origin[1]) as span:
            attempt = await sink(letter, self.route.consumer.http_timeout_s)
            _record_attempt(span, attempt.result, 0)
        if is_success(attempt.result):
            self.counts["dead_lettered"] += 1
            self._report("event.dead_lettered", **shown, outcome=format_result(result), why=why)
        else:
            self._report_lost(shown, result, why=f"the dead-letter sink: {format_result(attempt.result)}")

    def _failed(self, event: CloudEvent, result: DeliveryResult) -> str:
        """Keep a failed delivery for the status; returns why it failed."""
        why = explain_failure(result)
        self.last_failure = {"at": time.time(), "id": event.id, "outcome": format_result(result), "why": why}
        return why

    def _report_lost(self, shown: dict[str, str | None], result: DeliveryResult, *, why: str) -> None:
        self.counts["lost"] += 1
        self._report("event.lost", **shown, outcome=format_result(result), why=why)

    async def _keep_in_progress(self) -> None:
        """Extend the ackWait of deliveries in flight: one that waits for an instance or its function is not lost."""
        while True:
            await asyncio.sleep(self.route.consumer.ack_wait_s / 3)
            for message in list(self._in_flight.values()):
                try:
                    await message.in_progress()
                except nats.errors.Error as exc:
                    self._report("delivery.not_prolonged", **self._names, error=repr(exc))
                    break


def _record_attempt(span: Span, result: DeliveryResult, attempt_index: int) -> None:
    span.set(attempt=attempt_index + 1)
    if isinstance(result, Answered):
        span.set({names.HTTP_STATUS: result.status})
    if classify(result) not in {Disposition.ACCEPTED, Disposition.REPLY}:
        code = str(result.status) if isinstance(result, Answered) else type(result).__name__
        span.failed(code, format_result(result))


def _why_lost(delivery: DeliverySpec, result: DeliveryResult, attempt_index: int) -> str:
    why = explain_failure(result)
    if isinstance(result, ReplyFailed):
        return f"{why}. There is no deadLetterSink"
    if attempt_index < delivery.retry:
        return why
    return f"{why}. The retries are spent and there is no deadLetterSink"
