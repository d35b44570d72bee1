from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from darkroom.arrivals import Stage
from loadtests.errors import UnknownShapeError
from loadtests.shapes import SHAPES, Shape, shape_named

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def shape(*stages: Stage) -> Shape:
    return Shape(name="any", words="", stages=stages, mix={"UploadAndWait": 1})


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
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == list(SHAPES)


@pytest.mark.parametrize(
    ("name", "scale", "stretch", "meaning"),
    [
        ("burst", 1.0, 1.0, "500 pictures within 10 s, then nothing"),
        ("burst", 0.08, 0.5, "20 pictures within 5 s, then nothing"),
        ("steady", 0.5, 0.1, "3 visitors a second for 6 s, every story"),
        ("spike", 2.0, 1.0, "10 visitors a second, 100 a second for 5 s, then 10 again; every story"),
        ("ramp", 1.0, 1.0, "from 1 to 40 pictures a second in 90 s"),
        ("diurnal", 0.5, 0.1, "a day in 24 s: 0.7 pictures a second at night, 5 in the evening"),
    ],
)
def test_the_meaning_has_the_numbers_of_the_run(name: str, scale: float, stretch: float, meaning: str) -> None:
    assert SHAPES[name].stretched(stretch).meaning(scale=scale) == meaning


def test_heavy_tailed_arrivals_are_the_same_for_a_seed_and_others_for_another() -> None:
    shape = SHAPES["heavy-tailed"]
    assert shape.arrivals_s(seed=3) == shape.arrivals_s(seed=3)
    assert shape.arrivals_s(seed=3) != shape.arrivals_s(seed=4)
    assert len(shape.arrivals_s(scale=0.5)) == 240


def test_heavy_tailed_arrivals_come_in_clusters_and_with_long_pauses() -> None:
    """Of evenly random gaps the longest of 480 is about six times the mean, seldom ten times."""
    for seed in range(5):
        arrivals_s = SHAPES["heavy-tailed"].arrivals_s(seed=seed)
        gaps = sorted(later - earlier for earlier, later in pairwise(arrivals_s))
        mean_s = SHAPES["heavy-tailed"].seconds / len(arrivals_s)
        assert gaps[-1] > 12 * mean_s
        assert gaps[len(gaps) // 2] < 0.75 * mean_s


def test_a_day_has_a_night_and_an_evening() -> None:
    day = SHAPES["diurnal"]
    hours = [sum(10 * hour <= at_s < 10 * (hour + 1) for at_s in day.arrivals_s()) for hour in range(24)]
    assert hours.index(min(hours)) in {2, 3}
    assert hours.index(max(hours)) == 19
    assert max(hours) > 5 * min(hours)


def test_an_unknown_shape_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownShapeError, match="'bursty'; there are steady, burst, ramp, spike, soak"):
        shape_named("bursty")


def test_a_story_that_cannot_run_is_left_out() -> None:
    assert set(SHAPES["steady"].without("BrokerRepeater").mix) == SHAPES["steady"].mix.keys() - {"BrokerRepeater"}
