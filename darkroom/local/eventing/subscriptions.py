"""Delivers a Subscription's events. It differs from a Trigger where a cluster has a Broker's filter in between.

On a cluster a Trigger's Subscription delivers to a process `broker-filter`, which filters, counts the TTL down and
calls an answer that is no event a failure. A channel's dispatcher does none of it (knative/eventing, pkg/kncloudevents,
and eventing-natss, pkg/channel/jetstream/dispatcher).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.eventing.broker import Ingress
from darkroom.local.eventing.delivery import (
    Answered,
    DeliveryResult,
    ReplyFailed,
    SendResult,
    dead_letter_extensions,
    format_result,
    is_sent_again,
    is_success,
)
from darkroom.local.eventing.dispatch import Dispatcher, Route
from darkroom.local.eventing.doors import Cause, Door, Entrance, enter
from darkroom.local.eventing.record.recorder import Recorder, RecordLimits
from darkroom.local.eventing.stream import StoredEvent
from darkroom.local.eventing.subscribers import Attempt, Deliver
from darkroom.local.reporting import Report


@dataclass(frozen=True, kw_only=True)
class ReplyDestination:
    """Where a Subscription sends what its subscriber answers."""

    url: str
    deliver: Deliver


class SubscriptionDispatcher(Dispatcher):
    """Delivers the events of one Subscription."""

    kind = "subscription"

    def __init__(self, route: Route, reply: ReplyDestination | None, ingress: Ingress, report: Report) -> None:
        super().__init__(route, ingress, report)
        self._reply = reply
        # The record is of Brokers' events: this one is never opened, and keeps nothing.
        self._recorder = Recorder(RecordLimits(), report)

    @property
    def reply_url(self) -> str | None:
        """Return where answers are sent; None if they are dropped."""
        return None if self._reply is None else self._reply.url

    def _accepts(self, stored: StoredEvent) -> bool:
        return True

    async def _attempt(self, event: CloudEvent, cause: Cause) -> Attempt:
        attempt = await self.route.subscriber(event, self.route.consumer.http_timeout_s)
        match attempt.result:
            case Answered(status=status, is_event=False) as answer if 200 <= status < 300:
                # What is no event is discarded; only a Broker's filter refuses it.
                return replace(attempt, result=replace(answer, body=b""))
            case _:
                return attempt

    async def _after_reply(self, event: CloudEvent, attempt: Attempt) -> DeliveryResult:
        if attempt.reply is None or self._reply is None:
            return attempt.result
        entrance = Entrance(door=Door.SOURCE, name=f"Subscription {self.route.receiver.namespace}/{self.name}")
        with spans.reply_span(attempt.reply, self._reply.url), enter(entrance):
            result = await self._send_reply(attempt.reply, self._reply)
        if is_success(result):
            return attempt.result
        self._report("reply.not_sent", **self._named, id=event.id, to=self._reply.url, error=format_result(result))
        return ReplyFailed(destination=self._reply.url, result=result)

    async def _send_reply(self, reply: CloudEvent, destination: ReplyDestination) -> SendResult:
        """Send a reply, with the retries and the backoff of the delivery block, as a channel's dispatcher does."""
        delivery = self.route.delivery
        for index in range(delivery.retry):
            result = (await destination.deliver(reply, self.route.consumer.http_timeout_s)).result
            if not is_sent_again(result):
                return result
            await asyncio.sleep(delivery.backoff_s(index))
        return (await destination.deliver(reply, self.route.consumer.http_timeout_s)).result

    def _error_extensions(self, result: DeliveryResult) -> Mapping[str, str]:
        return dead_letter_extensions(result, self.route.subscriber_name, through_filter=False)
