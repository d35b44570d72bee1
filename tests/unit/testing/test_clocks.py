from __future__ import annotations

import asyncio

from darkroom.testing.clocks import ManualClock, clock_of


async def _order_of_ends(clock: ManualClock, *steps_s: float) -> list[list[str]]:
    """Let three deliveries wait for 1, 2 and 2.5 s; returns who is through after each step."""
    done: list[str] = []

    async def wait(name: str, delay_s: float) -> None:
        assert await clock.wait("confirm", delay_s) == 0
        done.append(name)

    tasks = [asyncio.create_task(wait(name, delay_s)) for name, delay_s in (("c", 2.5), ("a", 1.0), ("b", 2.0))]
    seen = []
    for step_s in steps_s:
        await asyncio.sleep(0)
        clock.advance(step_s)
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append(list(done))
    clock.release()
    await asyncio.gather(*tasks)
    return seen


def test_a_manual_clock_lets_through_what_is_due_in_order() -> None:
    assert asyncio.run(_order_of_ends(ManualClock(), 0.5, 0.5, 1.5)) == [[], ["a"], ["a", "b", "c"]]


def test_a_closed_manual_clock_holds_nothing() -> None:
    async def run() -> float:
        clock = ManualClock()
        clock.release()
        return await asyncio.wait_for(clock.wait("confirm", 60), 1)

    assert asyncio.run(run()) == 0


def test_a_manual_clock_counts_what_it_holds_by_trigger() -> None:
    async def run() -> tuple[int, int]:
        clock = ManualClock()
        waiting = asyncio.create_task(clock.wait("confirm", 1))
        await asyncio.sleep(0)
        held = clock.held("confirm"), clock.held("ship")
        clock.release()
        await waiting
        return held

    assert asyncio.run(run()) == (1, 0)


def test_the_other_clocks_wait_for_nothing_or_leave_all_of_it_to_nats() -> None:
    assert asyncio.run(clock_of("skip").wait("confirm", 4.0)) == 0
    assert asyncio.run(clock_of("real").wait("confirm", 4.0)) == 4.0
