from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.local.revisions.autoscaler import ConcurrencyWindow, panic_window_s
from darkroom.manifests.revision import ScalingConfig


def window(values: dict[float, float], window_s: float = 5.0) -> ConcurrencyWindow:
    filled = ConcurrencyWindow(window_s)
    for now_s, value in values.items():
        filled.record(now_s, value)
    return filled


def test_a_window_without_data_averages_to_zero() -> None:
    assert ConcurrencyWindow(60).average(1000.0) == 0.0


def test_a_window_that_is_not_full_is_divided_by_the_seconds_it_has() -> None:
    assert window({0.0: 4.0}).average(0.9) == 4.0
    assert window({0.0: 4.0, 1.0: 2.0}).average(1.0) == 3.0


def test_seconds_between_two_writes_count_as_nothing_in_flight() -> None:
    assert window({0.0: 4.0, 3.0: 4.0}).average(3.0) == 2.0


def test_a_full_window_is_divided_by_its_buckets_and_forgets_what_is_older() -> None:
    assert window({float(second): 10.0 if second == 0 else 5.0 for second in range(6)}).average(5.0) == 5.0


def test_values_of_the_same_second_add_up() -> None:
    assert window({7.1: 1.0, 7.9: 2.0}).average(7.99) == 3.0


def test_without_writes_the_oldest_seconds_drop_out() -> None:
    filled = window({0.0: 10.0, 1.0: 10.0, 2.0: 1.0, 3.0: 1.0, 4.0: 1.0})
    assert filled.average(6.0) == 1.0


def test_nothing_for_a_whole_window_is_zero_and_the_next_write_begins_anew() -> None:
    filled = window({0.0: 8.0})
    assert filled.average(4.9) == 8.0
    assert filled.average(5.0) == 0.0
    filled.record(100.0, 2.0)
    assert filled.average(100.0) == 2.0


def test_a_sum_of_floats_a_hair_above_does_not_want_one_more() -> None:
    filled = window({float(second): 0.1 for second in range(3)}, window_s=3)
    assert math.ceil(filled.average(2.0) / 0.1) == 1


@pytest.mark.parametrize(("percentage", "expected"), [(10.0, 6.0), (1.0, 1.0), (100.0, 60.0)])
def test_the_panic_window_is_a_part_of_the_stable_one_and_at_least_a_bucket(percentage: float, expected: float) -> None:
    assert panic_window_s(ScalingConfig(window_s=60, panic_window_percentage=percentage)) == expected


_writes = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 100)), min_size=1, max_size=40)


@given(writes=_writes, later=st.integers(0, 20), window_s=st.integers(1, 10))
def test_an_average_is_the_sum_of_the_living_seconds_over_their_number(
    writes: list[tuple[int, float]], later: int, window_s: int
) -> None:
    ordered = sorted(writes, key=lambda write: write[0])
    filled = ConcurrencyWindow(window_s)
    for second, value in ordered:
        filled.record(float(second), value)
    last = ordered[-1][0]
    now = last + later
    sums: dict[int, float] = {}
    for second, value in ordered:
        sums[second] = sums.get(second, 0.0) + value
    living = [total for second, total in sums.items() if second > now - window_s]
    seconds = list(sums)
    first = _first_since_a_gap(seconds, window_s)
    expected = 0.0 if later >= window_s else sum(living) / min(last - first + 1, window_s - later)
    assert filled.average(float(now)) == pytest.approx(expected, abs=1e-6)


def _first_since_a_gap(seconds: list[int], window_s: int) -> int:
    first = seconds[0]
    for before, after in itertools.pairwise(seconds):
        if after - before >= window_s:
            first = after
    return first
