from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from darkroom.local.revisions.admission import Admission
from darkroom.local.revisions.instances import Instance
from tests.integration.local.upstreams import stand_in_pool

STEPS = st.lists(st.sampled_from(["arrive", "give up", "finish", "start", "give up as it is served"]), max_size=60)


class Model:
    """Callers of one admission, and the invariants after every step."""

    def __init__(self, admission: Admission, start: list[Instance]) -> None:
        self.admission = admission
        self.instances = start
        self.callers: list[asyncio.Task[Instance]] = []

    def running(self) -> list[asyncio.Task[Instance]]:
        return [caller for caller in self.callers if caller.done() and not caller.cancelled()]

    def waiting(self) -> list[asyncio.Task[Instance]]:
        return [caller for caller in self.callers if not caller.done()]

    def finish_one(self) -> None:
        for caller in self.running()[:1]:
            self.callers.remove(caller)
            self.admission.release(caller.result())

    def give_up(self) -> None:
        for caller in self.waiting()[-1:]:
            caller.cancel()

    async def settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        self.callers = [caller for caller in self.callers if not caller.cancelled()]

    def check(self, capacity: int) -> None:
        in_flight = [one.in_flight for one in self.instances]
        assert all(0 <= count <= capacity for count in in_flight)
        assert sum(in_flight) == len(self.running())
        assert self.admission.queued == len(self.waiting())
        assert not (self.waiting() and any(count < capacity for count in in_flight)), "one waits though there is room"


@given(steps=STEPS, capacity=st.integers(1, 3))
@example(steps=["start", "arrive", "arrive", "give up as it is served", "arrive"], capacity=1)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_whatever_callers_do_no_place_is_lost_and_nobody_waits_while_there_is_room(
    tmp_path: Path, steps: list[str], capacity: int
) -> None:
    async def play() -> None:
        pool = stand_in_pool(tmp_path, container_concurrency=capacity)
        model = Model(Admission(pool, poke=lambda: None), [])
        for step in steps:
            if step == "arrive":
                model.callers.append(asyncio.create_task(model.admission.acquire()))
            elif step == "finish":
                model.finish_one()
            elif step == "give up":
                model.give_up()
            elif step == "start" and len(model.instances) < 3:
                model.instances.append(pool.add(port=1))
            elif step == "give up as it is served":
                model.finish_one()
                model.give_up()
            await model.settle()
            model.check(capacity)
        for caller in model.waiting():
            caller.cancel()
        await model.settle()

    asyncio.run(play())


async def test_those_who_wait_are_served_in_order_of_arrival(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path, container_concurrency=1)
    admission = Admission(pool, poke=lambda: None)
    served: list[int] = []

    async def call(number: int) -> None:
        instance = await admission.acquire()
        served.append(number)
        admission.release(instance)

    callers = [asyncio.create_task(call(number)) for number in range(10)]
    await asyncio.sleep(0)
    callers[3].cancel()
    pool.add(port=1)
    await asyncio.wait(callers)

    assert served == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("ready", [True, False])
async def test_the_scaler_is_poked_only_when_nobody_is_ready(tmp_path: Path, ready: bool) -> None:
    pool = stand_in_pool(tmp_path, container_concurrency=1)
    pokes: list[None] = []
    admission = Admission(pool, poke=lambda: pokes.append(None))
    if ready:
        pool.add(port=1).enter()

    caller = asyncio.create_task(admission.acquire())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])

    assert len(pokes) == (0 if ready else 1)
