"""Each fault of a delivery: what the subscriber gets, and what the Broker is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.local.chaos.account import Account, Again, End, Turn, reckoning
from darkroom.local.chaos.deliveries import DeliveryFaults
from darkroom.local.chaos.plan import DeliveryFault, FaultKind, Order, Plan, Slowness, Targets
from darkroom.local.eventing.broker import BrokerAddress, Ingress
from darkroom.local.eventing.delivery import Answered, TimedOut, Unreachable
from darkroom.local.eventing.interposition import Interposition
from darkroom.local.eventing.stream import StoredEvent
from darkroom.local.eventing.subscribers import Attempt
from darkroom.local.reporting import report_nothing

BROKER = ("shop", "orders")
ARRIVED = {"knativearrivaltime": "2026-01-01T00:00:20.000Z"}
PLACED = new_event("shop.order.placed", "/test", {}, id="order-1").with_extensions(**ARRIVED)
ACCEPTED = Attempt(result=Answered(status=204))


class Subscriber:
    """Counts its calls and answers as it is told."""

    def __init__(self, *answers: Attempt) -> None:
        self.calls = 0
        self._answers = answers or (ACCEPTED,)

    async def __call__(self, event: CloudEvent, timeout_s: float) -> Attempt:
        self.calls += 1
        return self._answers[min(self.calls, len(self._answers)) - 1]


class Bench:
    """Delivery faults with every attempt decided by `order`, and without a Broker behind them."""

    def __init__(self, **order: Any) -> None:
        plan = Plan(order=Order(seed=1, **order), targets=Targets(services=(), triggers=("confirm",), servers=()))
        self.account = Account(began="2026-01-01T00:00:10.000Z")
        self.published: list[CloudEvent] = []
        self.inflicted: list[tuple[FaultKind, ...]] = []
        self.faults = DeliveryFaults(plan, self.account, self._expecting, _Recording(self.published), self._hit)
        stored = PLACED.with_extensions(knativebrokerttl=9)
        self.faults.stored(BROKER, StoredEvent(event=stored, texts={}))

    @staticmethod
    def _expecting(broker: BrokerAddress, event: StoredEvent) -> list[str]:
        return ["confirm"]

    def _hit(self, trigger: str, turn: Turn, fault: DeliveryFault) -> None:
        self.inflicted.append(fault.kinds)

    async def attempt(self, subscriber: Subscriber, *, timeout_s: float = 5) -> Attempt:
        return await self.faults.attempt("confirm", PLACED, timeout_s, subscriber)

    @property
    def again(self) -> dict[Again, int]:
        return dict(reckoning(self.account, ["confirm"]).triggers[0].again)


class _Recording(Ingress):
    def __init__(self, published: list[CloudEvent]) -> None:
        super().__init__({}, report_nothing)
        self._published = published

    async def publish(self, address: BrokerAddress, event: CloudEvent) -> None:
        self._published.append(event)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def reply(number: int) -> Attempt:
    return Attempt(
        result=Answered(status=200, is_event=True),
        reply=new_event("shop.order.confirmed", "/c", {}, id=f"reply-{number}"),
    )


def test_without_a_fault_the_delivery_is_the_functions_own() -> None:
    async def work() -> None:
        bench, subscriber = Bench(), Subscriber()
        assert await bench.attempt(subscriber) is ACCEPTED
        assert (subscriber.calls, bench.inflicted) == (1, [])

    run(work)


def test_fail_answers_503_with_and_without_the_function_having_been_called() -> None:
    async def work() -> None:
        bench, subscriber = Bench(fail=1.0), Subscriber()
        calls: dict[tuple[FaultKind, ...], int] = {}
        for _ in range(20):
            before = subscriber.calls
            attempt = await bench.attempt(subscriber)
            assert isinstance(attempt.result, Answered)
            assert attempt.result.status == 503
            assert attempt.result.body.startswith(b"chaos: ")
            calls[bench.inflicted[-1]] = subscriber.calls - before
        assert calls == {(FaultKind.FAIL_BEFORE,): 0, (FaultKind.FAIL_AFTER,): 1}
        assert bench.again[Again.LOST_ANSWER] == subscriber.calls - 1

    run(work)


def test_a_dropped_reply_is_work_done_without_an_answer() -> None:
    async def work() -> None:
        bench, subscriber = Bench(drop_reply=1.0), Subscriber(reply(1))
        attempt = await bench.attempt(subscriber)
        assert isinstance(attempt.result, Unreachable)
        assert attempt.reply is None
        assert (subscriber.calls, bench.account.replies["confirm"]) == (1, 0)

    run(work)


def test_a_function_that_failed_by_itself_keeps_its_own_answer() -> None:
    async def work() -> None:
        failed = Attempt(result=Answered(status=500, body=b"its own"))
        assert await Bench(drop_reply=1.0).attempt(Subscriber(failed)) is failed

    run(work)


def test_a_duplicate_is_two_deliveries_and_both_replies_are_published() -> None:
    async def work() -> None:
        bench, subscriber = Bench(duplicate=1.0), Subscriber(reply(1), reply(2))
        attempt = await bench.attempt(subscriber)
        assert attempt.reply is not None
        assert {attempt.reply.id, *(event.id for event in bench.published)} == {"reply-1", "reply-2"}
        assert subscriber.calls == 2
        assert bench.published[0].extensions["knativebrokerttl"] == 9
        assert bench.again == {Again.DUPLICATE: 1}

    run(work)


def test_of_a_duplicate_one_acknowledgement_is_enough() -> None:
    async def work() -> None:
        busy = Attempt(result=Answered(status=503, body=b"somebody has claimed it"))
        assert await Bench(duplicate=1.0).attempt(Subscriber(busy, ACCEPTED)) is ACCEPTED

    run(work)


def test_a_slow_delivery_beyond_the_timeout_is_a_timeout() -> None:
    async def work() -> None:
        bench = Bench(slow=Slowness(shortest_s=30, longest_s=30))
        seen = set()
        for _ in range(8):
            attempt = await bench.attempt(Subscriber(), timeout_s=0.01)
            assert isinstance(attempt.result, TimedOut)
            seen |= set(bench.inflicted[-1])
        assert seen == {FaultKind.SLOW_REQUEST, FaultKind.SLOW_ANSWER}

    run(work)


def test_the_end_of_the_run_ends_a_delay_and_all_faults_after_it() -> None:
    async def work() -> None:
        bench, subscriber = Bench(slow=Slowness(shortest_s=60, longest_s=60), fail=1.0), Subscriber()
        waiting = asyncio.create_task(bench.attempt(subscriber, timeout_s=120))
        await asyncio.sleep(0)
        bench.faults.end()
        async with asyncio.timeout(5):
            await waiting
        assert await bench.attempt(subscriber) is ACCEPTED
        assert len(bench.inflicted) == 1

    run(work)


def test_events_of_others_pass_untouched() -> None:
    async def work() -> None:
        bench, subscriber = Bench(fail=1.0), Subscriber()
        older = replace(PLACED, id="older", extensions={"knativearrivaltime": "2026-01-01T00:00:05.000Z"})
        assert await bench.faults.attempt("confirm", older, 5, subscriber) is ACCEPTED

    run(work)


def test_an_end_is_taken_from_the_account_of_the_attempts() -> None:
    bench = Bench()
    bench.account.end("confirm", "order-1", End.ACKNOWLEDGED)
    assert bench.account.unfinished == 0


@pytest.mark.parametrize("is_interposed", [False, True])
def test_the_seam_delivers_with_and_without_an_interposer(is_interposed: bool) -> None:
    async def work() -> None:
        interposition, subscriber, bench = Interposition(), Subscriber(), Bench(fail=1.0)
        deliver = interposition.around("confirm", subscriber)
        interposition.current = bench.faults if is_interposed else None
        attempt = await deliver(PLACED, 5.0)
        assert (attempt is ACCEPTED) is not is_interposed

    run(work)
