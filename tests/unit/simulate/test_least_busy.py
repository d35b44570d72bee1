from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from darkroom.local.revisions.queueing import has_room, least_busy
from darkroom.simulate.instances import LeastBusy, SimulatedInstance


@given(
    limit=st.integers(0, 3),
    steps=st.lists(st.tuples(st.sampled_from(["take", "give", "add", "remove"]), st.integers(0, 9))),
)
def test_it_chooses_as_the_runtime_does(limit: int, steps: list[tuple[str, int]]) -> None:
    index, ready = LeastBusy(limit), list[SimulatedInstance]()
    bit = 1
    for step, number in steps:
        if step == "add":
            ready.append(SimulatedInstance(bit, 0.0))
            index.add(ready[-1])
            bit <<= 1
        elif step == "remove" and ready:
            index.remove(ready.pop(number % len(ready)))
        elif step == "give" and any(each.in_flight for each in ready):
            busy = [each for each in ready if each.in_flight]
            index.give_back(busy[number % len(busy)])
        elif step == "take":
            expected = least_busy([each for each in ready if has_room(limit, each.in_flight)])
            before = None if expected is None else expected.in_flight
            assert index.take() is expected
            if expected is not None:
                assert expected.in_flight == (before or 0) + 1
