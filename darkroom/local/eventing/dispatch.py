"""Delivers a Trigger's events: from its JetStream consumer to its subscriber, with retries, replies and dead letters.

What a delivery's outcome means is `delivery`'s arithmetic. Here it is carried out, and an event that a cluster would
lose is lost here too, but not in silence.

The retries of the whole system, in the same words everywhere (docs/reliability.md): one immediate retry inside the
function for what storage or Redis refused for a moment; then the Trigger's backoff, three times, 1, 2 and 4 s apart;
then the dead letter, which recovery emits again while attempts are left, later each time; then a person.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.broker import BrokerAddress, Ingress, for_subscriber, reply_to
from darkroom.local.eventing.delivery import (
    Action,
    Answered,
    ConsumerSettings,
    DeliverySpec,
    Outcome,
    Step,
    Verdict,
    classify,
    dead_letter_extensions,
    next_step,
)
from darkroom.local.eventing.filters import passes
from darkroom.local.eventing.stream import BrokerStream
from darkroom.local.eventing.subscribers import Attempt, Deliver
from darkroom.local.reporting import Report
from darkroom.manifests import Trigger
from darkroom.telemetry import Span, names

STOP_GRACE_S = 5.0
OUTCOMES = ("delivered", "retried", "dead_lettered", "lost")
"""What a dispatcher counts."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A Trigger with all that its deliveries need."""

    trigger: Trigger
    broker: BrokerAddress
    stream: BrokerStream
    delivery: DeliverySpec
    consumer: ConsumerSettings
    subscriber_name: str
    subscriber: Deliver
    dead_letter_sink: Deliver | None


class Dispatcher:
    """One Trigger. How many deliveries are in flight is bounded by its consumer's max_ack_pending."""

    def __init__(self, route: Route, ingress: Ingress, report: Report) -> None:
        self.route = route
        self.counts: Counter[str] = Counter()
        self._ingress = ingress
        self._report = report
        self._subscription: Subscription | None = None
        self._in_flight: dict[asyncio.Task[None], Msg] = {}
        self._keeper: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.route.trigger.name

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    async def start(self, connection: Client) -> None:
        await self.route.stream.reclaim(self.route.trigger, self.route.consumer)
        subject = await self.ensure_consumer()
        self._subscription = await connection.subscribe(subject, cb=self._take)
        self._keeper = asyncio.create_task(self._keep_in_progress(), name=f"trigger {self.name}: in progress")

    async def ensure_consumer(self) -> str:
        """Again after a nats-server that lost its data; returns the subject of the deliveries."""
        return await self.route.stream.ensure_consumer(self.route.trigger, self.route.consumer)

    async def stop(self) -> None:
        """No new deliveries; those under way get a moment. What is not acked is delivered again by the next start."""
        if self._subscription is not None:
            await self._unsubscribe(self._subscription)
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=STOP_GRACE_S)
        tasks = [*self._in_flight, *([self._keeper] if self._keeper else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _unsubscribe(self, subscription: Subscription) -> None:
        try:
            await subscription.unsubscribe()
        except nats.errors.Error as exc:
            self._report("trigger.unsubscribe_failed", trigger=self.name, error=repr(exc))

    async def _take(self, message: Msg) -> None:
        try:
            stored = self.route.stream.decode(message.data)
        except (EventInvalidError, ValueError) as exc:
            # Only what was published past the ingress can be unreadable; no delivery will mend it.
            self._report("event.unreadable", trigger=self.name, error=str(exc))
            await self._acked(message.term(), "unreadable")
            return
        event = stored.event
        if not passes(self.route.trigger.spec, stored.texts):
            # Most events are for other Triggers: they are worth no task.
            await self._acked(message.ack(), event.id)
            return
        task = asyncio.create_task(
            self._acked(self._deliver(message, event), event.id), name=f"trigger {self.name}: delivery"
        )
        self._in_flight[task] = message
        task.add_done_callback(self._in_flight.pop)

    async def _acked(self, dealing: Coroutine[Any, Any, None], event_id: str) -> None:
        try:
            await dealing
        except nats.errors.Error as exc:
            # The ack did not get through: NATS delivers the event again, and the job's claim tells it from a new one.
            self._report("delivery.not_acked", trigger=self.name, id=event_id, error=repr(exc))

    async def _deliver(self, message: Msg, event: CloudEvent) -> None:
        attempt_index = message.metadata.num_delivered - 1
        with spans.delivering(event, self.name, self.route.broker[1]) as span:
            attempt = await self.route.subscriber(for_subscriber(event), self.route.consumer.http_timeout_s)
            attempt = await self._publish_reply(event, attempt)
            _tell_of_the_attempt(span, attempt.outcome, attempt_index)
        step = next_step(self.route.delivery, classify(attempt.outcome), attempt_index)
        self.counts["delivered"] += 1
        await self._carry_out(step, message, event, attempt.outcome, attempt_index)

    async def _publish_reply(self, event: CloudEvent, attempt: Attempt) -> Attempt:
        """A reply that the Broker does not take makes the delivery a failed one."""
        if attempt.reply is None:
            return attempt
        try:
            with spans.replying(attempt.reply, self.route.broker[1]):
                await self._ingress.publish(self.route.broker, reply_to(event, attempt.reply))
        except (DependencyUnavailableError, EventInvalidError) as exc:
            self._report("reply.not_published", trigger=self.name, id=event.id, error=exc.detail)
            return replace(attempt, outcome=Answered(status=500, body=exc.detail.encode()))
        return attempt

    async def _carry_out(
        self, step: Step, message: Msg, event: CloudEvent, outcome: Outcome, attempt_index: int
    ) -> None:
        shown = {"trigger": self.name, "id": event.id, "type": event.type, "subject": event.subject}
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
                    outcome=told(outcome),
                    next_in_s=step.delay_s,
                )
                await message.nak(delay=step.delay_s)
            case Action.DEAD_LETTER:
                await self._dead_letter(event, outcome, shown)
                await message.ack()
            case Action.DROP:
                self.counts["lost"] += 1
                self._report("event.lost", **shown, outcome=told(outcome), why=_why_lost(self.route.delivery, outcome))
                await message.ack()

    async def _dead_letter(self, event: CloudEvent, outcome: Outcome, shown: dict[str, str | None]) -> None:
        """One attempt: as on the cluster, a dead-letter sink that fails ends it."""
        sink = self.route.dead_letter_sink
        if sink is None:
            raise RuntimeError("a dead letter without a sink")
        letter = for_subscriber(event)
        extensions = dead_letter_extensions(outcome, self.route.subscriber_name)
        letter = replace(letter, extensions={**letter.extensions, **extensions})
        with spans.delivering(letter, f"{self.name} to the dead-letter sink", self.route.broker[1]) as span:
            taken = await sink(letter, self.route.consumer.http_timeout_s)
            _tell_of_the_attempt(span, taken.outcome, 0)
        if isinstance(taken.outcome, Answered) and 200 <= taken.outcome.status < 300:
            self.counts["dead_lettered"] += 1
            self._report("event.dead_lettered", **shown, outcome=told(outcome))
        else:
            self.counts["lost"] += 1
            self._report(
                "event.lost", **shown, outcome=told(outcome), why=f"the dead-letter sink: {told(taken.outcome)}"
            )

    async def _keep_in_progress(self) -> None:
        """A delivery that waits for an instance, or for its function, is not one that got lost."""
        while True:
            await asyncio.sleep(self.route.consumer.ack_wait_s / 3)
            for message in list(self._in_flight.values()):
                try:
                    await message.in_progress()
                except nats.errors.Error as exc:
                    self._report("delivery.not_prolonged", trigger=self.name, error=repr(exc))
                    break


def _tell_of_the_attempt(span: Span, outcome: Outcome, attempt_index: int) -> None:
    span.set(attempt=attempt_index + 1)
    if isinstance(outcome, Answered):
        span.set({names.HTTP_STATUS: outcome.status})
    if classify(outcome) not in {Verdict.ACCEPTED, Verdict.REPLY}:
        span.failed(str(outcome.status) if isinstance(outcome, Answered) else type(outcome).__name__, told(outcome))


def told(outcome: Outcome) -> str:
    match outcome:
        case Answered(status=status, body=body):
            shown = body[:200].decode(errors="replace")
            return f"{status} {shown}".strip()
        case _:
            return str(outcome)


def _why_lost(delivery: DeliverySpec, outcome: Outcome) -> str:
    if delivery.dead_letter_sink is None:
        return "the retries are spent and there is no deadLetterSink"
    return "JetStream channels neither retry nor dead-letter a 4xx answer: answer 503, or 200 with a rejection event"
