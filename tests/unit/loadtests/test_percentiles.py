from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.percentiles import Spread, percentile

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.29, 29), (0.5, 50), (0.99, 99), (0.995, 100), (1, 100)])
def test_of_a_hundred_values_the_percentile_is_the_one_of_that_rank(share: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), share) == expected


@given(VALUES, st.floats(0, 1))
def test_at_least_that_share_of_the_values_is_no_larger_and_no_smaller_value_has_as_many(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) <= share * len(values)


def test_a_spread_of_one_value_is_that_value() -> None:
    assert Spread.of([3.0]) == Spread(count=1, p50=3.0, p90=3.0, p99=3.0, most=3.0)


def test_there_is_no_percentile_of_nothing_nor_beyond_all() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match=r"from 0 to 1, was 99"):
        percentile([1.0], 99)
