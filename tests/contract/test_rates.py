"""The promises of every rate limiter, tested against Redis and the fake."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from darkroom.adapters.rates import RateLimiter
from darkroom.adapters.rates.memory import MemoryRateLimiter
from darkroom.adapters.rates.postgres import PostgresRateLimiter
from darkroom.adapters.rates.redis import RedisRateLimiter
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.rates import Rate, RateDecision
from tests.contract.job_stores import STORES, stores_named
from tests.servers import Server

SLOW = Rate(limit=5, period_s=3600)
"""So slow that nothing is refilled while a test runs."""

Found = TypeVar("Found")
Use = Callable[[RateLimiter], Awaitable[Found]]


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest) -> Callable[[], RateLimiter]:
    if request.param == "memory":
        shared = MemoryRateLimiter()
        return lambda: shared
    url = request.getfixturevalue(request.param).url
    if request.param == "redis":
        return lambda: RedisRateLimiter(url)
    stores_named("postgres", request).close()
    return lambda: PostgresRateLimiter(url)


def use(make: Callable[[], RateLimiter], work: Use[Found]) -> Found:
    async def run() -> Found:
        limiter = make()
        try:
            return await work(limiter)
        finally:
            await limiter.close()

    return asyncio.run(run())


def bucket() -> str:
    return f"test:{uuid.uuid4()}"


def test_the_limit_is_admitted_at_once_and_no_more(make: Callable[[], RateLimiter]) -> None:
    name = bucket()

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(name, SLOW) for _ in range(8)]

    decisions = use(make, ask)
    assert [decision.admitted for decision in decisions] == [True] * 5 + [False] * 3
    assert [decision.remaining for decision in decisions] == [4, 3, 2, 1, 0, 0, 0, 0]


def test_a_refused_request_learns_when_the_next_is_admitted_and_costs_nothing(
    make: Callable[[], RateLimiter],
) -> None:
    name = bucket()

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(name, SLOW) for _ in range(20)]

    refused = [decision for decision in use(make, ask) if not decision.admitted]
    assert len(refused) == 15
    assert all(700 < decision.retry_after_s <= 720 for decision in refused), refused


def test_the_rate_refills_evenly(make: Callable[[], RateLimiter]) -> None:
    name, rate = bucket(), Rate(limit=20, period_s=1)

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        # However slow this machine is, nothing is taken from the bucket after the refusal.
        while (decision := await limiter.ask(name, rate)).admitted:
            pass
        await asyncio.sleep(decision.retry_after_s)
        return [await limiter.ask(name, rate)]

    [decision] = use(make, ask)
    assert decision.admitted


def test_buckets_do_not_share(make: Callable[[], RateLimiter]) -> None:
    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(bucket(), SLOW) for _ in range(10)]

    assert all(decision.admitted for decision in use(make, ask))


def test_many_at_once_over_several_instances_are_counted_exactly(redis: Server) -> None:
    name, rate = bucket(), Rate(limit=50, period_s=3600)

    async def ask() -> list[RateDecision]:
        limiters = [RedisRateLimiter(redis.url) for _ in range(4)]
        decisions = await asyncio.gather(*(limiters[n % 4].ask(name, rate) for n in range(200)))
        for limiter in limiters:
            await limiter.close()
        return decisions

    assert sum(decision.admitted for decision in asyncio.run(ask())) == 50


def test_an_unreachable_redis_is_reported() -> None:
    with pytest.raises(DependencyUnavailableError):
        use(lambda: RedisRateLimiter("redis://127.0.0.1:1"), lambda limiter: limiter.ask("a", SLOW))


def test_several_units_are_counted_whole_or_not_at_all(make: Callable[[], RateLimiter]) -> None:
    name = bucket()

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(name, SLOW, cost=cost) for cost in (3, 3, 2, 1)]

    decisions = use(make, ask)
    assert [(decision.admitted, decision.remaining) for decision in decisions] == [
        (True, 2),
        (False, 2),
        (True, 0),
        (False, 0),
    ]
    # One more unit is refilled in 720 s.
    assert 700 < decisions[1].retry_after_s <= 720


def test_more_units_than_the_limit_are_never_admitted(make: Callable[[], RateLimiter]) -> None:
    name = bucket()

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(name, SLOW, cost=cost) for cost in (6, 5)]

    assert [decision.admitted for decision in use(make, ask)] == [False, True]


def test_what_is_only_asked_is_not_counted(make: Callable[[], RateLimiter]) -> None:
    name = bucket()

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        asked = [await limiter.ask(name, SLOW, cost=4, counts=False) for _ in range(3)]
        return [*asked, await limiter.ask(name, SLOW, cost=4), await limiter.ask(name, SLOW, cost=4, counts=False)]

    decisions = use(make, ask)
    assert [decision.admitted for decision in decisions] == [True] * 4 + [False]
    assert [decision.remaining for decision in decisions] == [5, 5, 5, 1, 1]


def test_bytes_are_counted_exactly(make: Callable[[], RateLimiter]) -> None:
    name, rate = bucket(), Rate(limit=100 * 1024 * 1024, period_s=86400, unit="content-bytes")

    async def ask(limiter: RateLimiter) -> list[RateDecision]:
        return [await limiter.ask(name, rate, cost=33_554_432) for _ in range(4)]

    decisions = use(make, ask)
    assert [decision.admitted for decision in decisions] == [True, True, True, False]
    # About 1,214 bytes are refilled in a second.
    assert 0 <= decisions[2].remaining - 4 * 1024 * 1024 < 1214 * 30
