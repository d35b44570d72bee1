from __future__ import annotations

from loadtests.schedule import DISTRIBUTED_LEAD_S, LEAD_S, Attendance, Schedule


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def test_visitors_are_called_ahead_and_each_has_his_own_moment() -> None:
    clock = Clock()
    schedule = Schedule([0.0, 1.0, LEAD_S + 5], clock)
    assert schedule.due_soon() == 1
    clock.now += 1
    assert schedule.due_soon() == 2
    assert [schedule.next_moment(), schedule.next_moment()] == [500 + LEAD_S, 501 + LEAD_S]


def test_the_largest_delay_is_reported() -> None:
    clock = Clock()
    schedule = Schedule([0.0, 0.0, 0.0], clock)
    for late_s in (0.25, 3.0, 0.0):
        moment = schedule.next_moment()
        assert moment is not None
        clock.now = moment + late_s
        schedule.arrived(moment)
    assert (schedule.came, schedule.latest_s) == (3, 3.0)


def test_there_are_no_more_moments_than_visitors() -> None:
    schedule = Schedule([0.0], Clock())
    assert schedule.next_moment() is not None
    assert schedule.next_moment() is None


def test_everybody_has_left_when_the_visitors_of_all_workers_have() -> None:
    schedule = Schedule([0.0, 0.0, 0.0], Clock(), lead_s=DISTRIBUTED_LEAD_S)
    schedule.attendance["a"] = Attendance(came=2, gone=2, latest_s=0.5)
    assert not schedule.everybody_has_left
    schedule.attendance["b"] = Attendance(came=1, gone=1, latest_s=0.1)
    assert schedule.everybody_has_left
    assert (schedule.came, schedule.latest_s) == (3, 0.5)


def test_it_is_over_when_the_last_has_left() -> None:
    schedule = Schedule([0.0, 0.0], Clock())
    schedule.left()
    assert not schedule.everybody_has_left
    schedule.left()
    assert schedule.everybody_has_left
