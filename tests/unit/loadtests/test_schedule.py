from __future__ import annotations

from loadtests.schedule import LEAD_S, Schedule


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def test_visitors_are_called_ahead_and_each_waits_for_his_own_moment() -> None:
    clock = Clock()
    schedule = Schedule([0.0, 1.0, LEAD_S + 5], clock)
    assert schedule.due_soon() == 1
    clock.now += 1
    assert schedule.due_soon() == 2
    assert [schedule.next_wait_s(), schedule.next_wait_s()] == [LEAD_S - 1, LEAD_S]
    assert schedule.came == 0
    schedule.arrived()
    assert schedule.came == 1
    assert schedule.latest_s == 0


def test_a_visitor_who_is_late_does_not_wait_and_is_told_of() -> None:
    clock = Clock()
    schedule = Schedule([0.0], clock)
    clock.now = schedule.began_at + 3
    assert schedule.next_wait_s() == 0
    assert schedule.latest_s == 3


def test_it_is_over_when_the_last_has_left() -> None:
    schedule = Schedule([0.0, 0.0], Clock())
    schedule.left()
    assert not schedule.everybody_has_left
    schedule.left()
    assert schedule.everybody_has_left
