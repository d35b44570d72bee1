"""The photograph generator: exact in size, equal for equal arguments, and as full of detail as a photograph."""

from __future__ import annotations

import pytest

from darkroom.imaging.photograph import make_photograph
from tests.unit.imaging.pixels import opened, samples


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (640, 480), (2000, 1501)])
def test_a_photograph_has_the_size_that_was_asked_for(size: tuple[int, int]) -> None:
    assert opened(make_photograph(*size)).size == size


def test_equal_arguments_give_equal_bytes_and_another_seed_another_picture() -> None:
    assert make_photograph(320, 240, seed=4) == make_photograph(320, 240, seed=4)
    assert make_photograph(320, 240, seed=4) != make_photograph(320, 240, seed=5)


def test_a_photograph_has_light_and_dark_and_colour_and_detail() -> None:
    picture = samples(make_photograph(640, 480))
    assert picture.std() > 30
    assert abs(picture[..., 0] - picture[..., 2]).mean() > 10
    assert abs(picture[:, 1:] - picture[:, :-1]).mean() > 1
