from __future__ import annotations

import pytest

from darkroom.local.revisions.meter import ConcurrencyMeter


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> ConcurrencyMeter:
    return ConcurrencyMeter(clock)


def test_the_average_weighs_each_number_of_requests_by_how_long_it_lasted(
    meter: ConcurrencyMeter, clock: Clock
) -> None:
    meter.enter()
    clock.now_s += 0.25  # one request
    meter.enter()
    meter.enter()
    clock.now_s += 0.5  # three
    meter.leave()
    meter.leave()
    meter.leave()
    clock.now_s += 0.25  # none

    assert meter.take_average() == pytest.approx(0.25 * 1 + 0.5 * 3)


def test_each_reading_covers_only_the_time_since_the_last(meter: ConcurrencyMeter, clock: Clock) -> None:
    meter.enter()
    clock.now_s += 1
    assert meter.take_average() == pytest.approx(1)

    meter.enter()
    clock.now_s += 2
    assert meter.take_average() == pytest.approx(2)

    meter.leave()
    meter.leave()
    clock.now_s += 1
    assert meter.take_average() == 0


def test_a_request_that_comes_and_goes_between_two_readings_is_not_lost(meter: ConcurrencyMeter, clock: Clock) -> None:
    clock.now_s += 0.4
    meter.enter()
    clock.now_s += 0.1
    meter.leave()
    clock.now_s += 0.5

    assert meter.current == 0
    assert meter.take_average() == pytest.approx(0.1)


def test_two_readings_in_the_same_moment_give_the_current_number(meter: ConcurrencyMeter, clock: Clock) -> None:
    meter.enter()
    meter.enter()
    clock.now_s += 1
    meter.take_average()

    assert meter.take_average() == 2
