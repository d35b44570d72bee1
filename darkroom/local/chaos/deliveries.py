"""Inflicts the faults of deliveries, and keeps the account of attempts. It stands around each attempt to deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.chaos.account import Account, Turn
from darkroom.local.chaos.plan import NO_FAULT, DeliveryFault, FaultKind, Plan
from darkroom.local.eventing.broker import TTL_EXTENSION, BrokerAddress, Ingress, inherit_ttl
from darkroom.local.eventing.delivery import Answered, Disposition, TimedOut, Unreachable, classify
from darkroom.local.eventing.stream import StoredEvent
from darkroom.local.eventing.subscribers import Attempt, Deliver

FAILED_BEFORE = b"chaos: failed before the function was called"
FAILED_AFTER = b"chaos: failed after the function had done its work"
REPLY_DROPPED = "chaos: the function's answer was dropped"

Expecting = Callable[[BrokerAddress, StoredEvent], Iterable[str]]
"""Returns the Triggers whose filters an event passes."""
Inflicted = Callable[[str, Turn, DeliveryFault], None]


class DeliveryFaults:
    """An `Interposer`."""

    def __init__(
        self, plan: Plan, account: Account, expecting: Expecting, ingress: Ingress, inflicted: Inflicted
    ) -> None:
        self._plan = plan
        self._account = account
        self._expecting = expecting
        self._ingress = ingress
        self._inflicted = inflicted
        self._over = asyncio.Event()

    def end(self) -> None:
        """Inflict nothing more, and end the delays that are under way. The account goes on."""
        self._over.set()

    def stored(self, broker: BrokerAddress, event: StoredEvent) -> None:
        self._account.stored(broker, event.event, self._expecting(broker, event))

    async def attempt(self, subscription: str, event: CloudEvent, timeout_s: float, deliver: Deliver) -> Attempt:
        turn = self._account.begin_attempt(subscription, event)
        if turn is None:
            return await deliver(event, timeout_s)
        fault = NO_FAULT
        if not self._over.is_set():
            fault = self._plan.of_delivery(subscription, turn.course.number, turn.attempt)
        if fault.kinds:
            self._inflicted(subscription, turn, fault)

        async def call() -> Attempt:
            attempt = await deliver(event, timeout_s)
            if _is_acknowledged(attempt):
                self._account.executed(turn)
            return attempt

        attempt = await self._delayed(fault, timeout_s, lambda: self._made(fault, subscription, turn, call))
        if turn.executed:
            turn.course.answer_lost = not _is_acknowledged(attempt)
        self._count_reply(subscription, attempt)
        return attempt

    async def _delayed(self, fault: DeliveryFault, timeout_s: float, make: Callable[[], Awaitable[Attempt]]) -> Attempt:
        """A delay counts towards the delivery's timeout, as that of a slow network or function does."""
        if fault.delay is None:
            return await make()
        try:
            async with asyncio.timeout(timeout_s):
                if fault.delay is FaultKind.SLOW_REQUEST:
                    await self._sleep(fault.delay_s)
                attempt = await make()
                if fault.delay is FaultKind.SLOW_ANSWER:
                    await self._sleep(fault.delay_s)
                return attempt
        except TimeoutError:
            return Attempt(result=TimedOut(timeout_s=timeout_s))

    async def _sleep(self, seconds: float) -> None:
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait([over], timeout=seconds)
        finally:
            over.cancel()

    async def _made(
        self, fault: DeliveryFault, subscription: str, turn: Turn, call: Callable[[], Awaitable[Attempt]]
    ) -> Attempt:
        match fault.failure:
            case FaultKind.FAIL_BEFORE:
                return Attempt(result=Answered(status=503, body=FAILED_BEFORE))
            case FaultKind.FAIL_AFTER:
                return _in_place_of(await call(), Attempt(result=Answered(status=503, body=FAILED_AFTER)))
            case FaultKind.DROP_REPLY:
                return _in_place_of(await call(), Attempt(result=Unreachable(reason=REPLY_DROPPED)))
            case FaultKind.DUPLICATE:
                return await self._twice(subscription, turn, call)
            case _:
                return await call()

    async def _twice(self, subscription: str, turn: Turn, call: Callable[[], Awaitable[Attempt]]) -> Attempt:
        """Deliver twice at once. Two acknowledgements are two replies; one is enough for the Broker."""
        first, second = await asyncio.gather(call(), call())
        if not _is_acknowledged(first):
            return second
        if not _is_acknowledged(second):
            return first
        if second.reply is not None and turn.record.broker is not None:
            await self._publish(subscription, turn, turn.record.broker, second.reply)
        return first

    async def _publish(self, subscription: str, turn: Turn, broker: BrokerAddress, reply: CloudEvent) -> None:
        """Publish the second reply. If the Broker does not take it, one reply is lost that was one too many."""
        self._account.adopt(reply.id)
        with_ttl = CloudEvent.with_extensions(reply, **{TTL_EXTENSION: turn.record.ttl})
        try:
            await self._ingress.publish(broker, inherit_ttl(reply, from_event=with_ttl))
        except (DependencyUnavailableError, EventInvalidError):
            return
        self._account.replies[subscription] += 1

    def _count_reply(self, subscription: str, attempt: Attempt) -> None:
        if attempt.reply is not None and _is_acknowledged(attempt):
            self._account.adopt(attempt.reply.id)
            self._account.replies[subscription] += 1


def _in_place_of(real: Attempt, failure: Attempt) -> Attempt:
    """Replace an acknowledgement. A function that failed by itself has said enough."""
    return failure if _is_acknowledged(real) else real


def _is_acknowledged(attempt: Attempt) -> bool:
    return classify(attempt.result) in {Disposition.ACCEPTED, Disposition.REPLY}
