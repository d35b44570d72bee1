from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from loadtests.errors import UnknownShapeError
from loadtests.shapes import SHAPES, Shape, Stage, shape_named

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def shape(*stages: Stage) -> Shape:
    return Shape(name="any", meaning="", stages=stages, mix={"UploadAndWait": 1})


def test_the_burst_brings_exactly_five_hundred_visitors_of_one_picture_within_ten_seconds() -> None:
    arrivals_s = SHAPES["burst"].arrivals_s()
    assert len(arrivals_s) == 500
    assert arrivals_s[0] == 0
    assert arrivals_s[-1] < 10
    assert set(SHAPES["burst"].mix) == {"UploadAndWait", "UploadAndPoll"}


def test_a_steady_stage_spaces_its_visitors_evenly() -> None:
    assert shape(Stage(seconds=2, per_s=4)).arrivals_s() == pytest.approx([number / 4 for number in range(8)])


def test_a_ramp_brings_visitors_ever_faster_and_as_many_as_its_mean_rate_says() -> None:
    arrivals_s = shape(Stage(seconds=10, per_s=0, to_per_s=10)).arrivals_s()
    gaps = [later - earlier for earlier, later in pairwise(arrivals_s)]
    assert len(arrivals_s) == 50
    assert gaps == sorted(gaps, reverse=True)
    # A quarter of them in the first half: the integral of linear growth.
    assert sum(at_s < 5 for at_s in arrivals_s) == pytest.approx(50 / 4, abs=1)


def test_a_ramp_may_go_down() -> None:
    arrivals_s = shape(Stage(seconds=10, per_s=10, to_per_s=0)).arrivals_s()
    assert len(arrivals_s) == 50
    assert sum(at_s < 5 for at_s in arrivals_s) == pytest.approx(50 * 3 / 4, abs=1)


def test_stages_follow_each_other_without_a_gap_or_a_lost_part_of_a_visitor() -> None:
    arrivals_s = shape(*(Stage(seconds=1, per_s=0.5) for _ in range(6))).arrivals_s()
    assert arrivals_s == pytest.approx([0, 2, 4], abs=1e-9)


@pytest.mark.parametrize("scale", [0.08, 0.5, 2.0])
def test_the_scale_multiplies_how_many_come_and_not_how_long_it_lasts(scale: float) -> None:
    arrivals_s = SHAPES["burst"].arrivals_s(scale=scale)
    assert len(arrivals_s) == 500 * scale
    assert max(arrivals_s) < 10


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_brings_visitors_in_order_and_within_its_time(name: str) -> None:
    arrivals_s = SHAPES[name].arrivals_s()
    assert list(arrivals_s) == sorted(arrivals_s)
    assert arrivals_s[-1] <= SHAPES[name].seconds


def test_the_spike_is_ten_times_what_is_around_it() -> None:
    before, spike, after = SHAPES["spike"].stages
    assert (spike.per_s / before.per_s, spike.per_s / after.per_s) == (10, 10)


def test_a_stretched_shape_keeps_its_rates() -> None:
    soak = SHAPES["soak"].stretched(6)
    assert soak.seconds == 3600
    assert len(soak.arrivals_s()) == 6 * len(SHAPES["soak"].arrivals_s())


def test_the_documentation_has_every_shape_and_no_other() -> None:
    section = OPERATIONS.read_text().partition("## Load tests")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(SHAPES)


def test_an_unknown_shape_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownShapeError, match="'bursty'; there are steady, burst, ramp, spike, soak"):
        shape_named("bursty")


def test_a_story_that_cannot_run_is_left_out() -> None:
    assert set(SHAPES["steady"].without("BrokerRepeater").mix) == SHAPES["steady"].mix.keys() - {"BrokerRepeater"}
