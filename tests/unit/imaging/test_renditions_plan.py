"""The plan of renditions, known from the header: complete, within the memory, and never from too few pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.contract.limits import MEBIBYTE
from darkroom.contract.parameters.values import Format
from darkroom.imaging import (
    CostClass,
    Facts,
    RenditionRequest,
    checked_renditions,
    decode_cost,
    estimate,
    renditions_cost,
    renditions_cost_class,
)
from darkroom.imaging.renditions import plan_renditions
from darkroom.imaging.renditions.plan import Group, RenditionsPlan, Step
from tests.unit.imaging.rendition_requests import LIMITS, crop, five, resize

REPOSITORY = Path(__file__).parents[3]


def facts(format: Format = Format.JPEG, width: int = 4000, height: int = 3000, **others: Any) -> Facts:
    fields: dict[str, Any] = {
        "bands": 3,
        "has_alpha": False,
        "frames": 1,
        "progressive": False,
        "has_icc": False,
        "orientation": 1,
        "bits": 8,
        "input_bytes": 500_000,
    }
    return Facts(format=format, width=width, height=height, **{**fields, **others})


def sources(plan: RenditionsPlan) -> list[dict[str, str | None]]:
    """Return by group from which rendition each is resampled; None stands for the decoded picture."""
    return [
        {step.member.name: None if step.source is None else step.source.name for step in group.steps}
        for group in plan.groups
    ]


# --- properties ------------------------------------------------------------------------------------------------------

SIDES = st.integers(1, 2500)


@st.composite
def requests(draw: st.DrawFn) -> list[RenditionRequest]:
    made = []
    for number in range(draw(st.integers(1, 12))):
        fields: dict[str, Any] = {"format": draw(st.sampled_from(["jpeg", "png", "webp", "keep"]))}
        if draw(st.integers(0, 9)) == 0:
            fields["sharpen"] = 1
        fields["rotate"] = draw(st.sampled_from([0, 0, 0, 90]))
        name = f"r{number}"
        if draw(st.integers(0, 3)) == 0:
            gravity = draw(st.sampled_from(["centre", "attention"]))
            made.append(crop(name, aspect="3:2", width=draw(st.integers(1, 300)), gravity=gravity, **fields))
        else:
            fit = draw(st.sampled_from(["inside", "cover", "fill"]))
            made.append(resize(name, width=draw(SIDES), height=draw(SIDES), fit=fit, **fields))
    return made


@st.composite
def headers(draw: st.DrawFn) -> Facts:
    format = draw(st.sampled_from([Format.JPEG, Format.WEBP, Format.PNG, Format.AVIF]))
    return facts(
        format,
        draw(st.integers(300, 9000)),
        draw(st.integers(300, 7000)),
        orientation=draw(st.integers(1, 8)),
        progressive=format is Format.JPEG and draw(st.booleans()),
        bits=draw(st.sampled_from([8, 16])) if format is Format.PNG else 8,
    )


@settings(max_examples=30, deadline=None)
@given(headers(), requests())
def test_each_rendition_is_planned_once_and_from_enough_pixels(header: Facts, asked: list[RenditionRequest]) -> None:
    plan = plan_renditions(header, asked)
    planned = [step.member.name for group in plan.groups for step in group.steps]
    assert sorted(planned) == sorted(one.name for one in asked)
    for group in plan.groups:
        assert group.steps[0].source is None
        if group.is_shared:
            assert all(one.alone is None for one in group.members)
            for index, step in enumerate(group.steps):
                assert has_enough_pixels(group, index, step)


def has_enough_pixels(group: Group, index: int, step: Step) -> bool:
    member, source = step.member, step.source
    if source is None:
        # As many as a job of its own would decode.
        return group.scale.first >= member.scale.first and group.scale.if_fine >= member.scale.if_fine
    is_earlier = any(one.member is source for one in group.steps[:index])
    is_large = source.size == member.size or (
        source.size.width >= 2 * member.size.width and source.size.height >= 2 * member.size.height
    )
    return is_earlier and is_large and source.shows_all and not member.is_exact


@settings(max_examples=30, deadline=None)
@given(headers(), requests(), st.randoms(use_true_random=False))
def test_the_order_of_the_requests_does_not_change_the_plan(
    header: Facts, asked: list[RenditionRequest], random: Any
) -> None:
    plan = plan_renditions(header, asked)
    shuffled = random.sample(asked, len(asked))
    assert plan_renditions(header, shuffled) == plan


@settings(max_examples=30, deadline=None)
@given(headers(), requests())
def test_pixels_that_wait_are_bounded(header: Facts, asked: list[RenditionRequest]) -> None:
    most = max(64 * MEBIBYTE, header.pixels * 16)
    for group in plan_renditions(header, asked).groups:
        assert not group.is_shared or group.held_bytes <= most


@settings(max_examples=30, deadline=None)
@given(headers(), requests())
def test_together_they_never_cost_more_than_jobs_of_their_own(header: Facts, asked: list[RenditionRequest]) -> None:
    together = renditions_cost(header, asked)
    each = [estimate(header, one.parameters) for one in asked]
    assert 0 < together.cpu_ms <= sum(one.cpu_ms for one in each)
    # The decoder is gone when the second one is encoded.
    assert together.memory_bytes >= max(one.memory_bytes for one in each) - decode_cost(header).memory_bytes


# --- what is planned -------------------------------------------------------------------------------------------------


def test_each_size_is_resampled_from_the_smallest_that_is_at_least_twice_as_large() -> None:
    assert sources(plan_renditions(facts(), five())) == [
        {"w1600": None, "w800": "w1600", "w400": "w800", "square": "w400", "w200": "w400"}
    ]


def test_sizes_too_near_to_each_other_are_resampled_from_the_decoded_picture() -> None:
    plan = plan_renditions(facts(), [resize("a", width=900), resize("b", width=850), resize("c", width=800)])
    assert sources(plan) == [{"a": None, "b": None, "c": None}]
    assert plan.groups[0].holds_decoded


def test_a_picture_too_large_to_hold_is_decoded_for_each() -> None:
    header = facts(Format.PNG, 8000, 6000)
    plan = plan_renditions(header, [resize("a", width=900, format="jpeg"), resize("b", width=850, format="jpeg")])
    assert sources(plan) == [{"a": None}, {"b": None}]


def test_a_part_at_full_size_is_decoded_by_itself_where_the_others_need_few_pixels() -> None:
    plan = plan_renditions(facts(), [crop("part", x=0, y=0, width=200, height=200), *five()])
    assert [[*group] for group in sources(plan)] == [["part"], ["w1600", "w800", "w400", "square", "w200"]]


def test_what_needs_pixels_of_its_own_is_alone_and_the_plan_says_why() -> None:
    header = facts(Format.GIF, frames=3)
    plan = plan_renditions(
        header,
        [
            resize("all", width=100, animation="all"),
            resize("trimmed", width=100, trim=True),
            resize("large", width=5000, enlarge=True),
            crop("face", aspect="1:1", gravity="attention"),
        ],
    )
    why = {group.head.name: group.head.alone and group.head.alone.value for group in plan.groups}
    assert why == {
        "all": "all frames of an animation",
        "trimmed": "only the pixels show the picture's size",
        "large": "the picture is enlarged",
        "face": "what is salient depends on how the picture was scaled",
    }


def test_an_impossible_rendition_is_named_and_costs_nothing() -> None:
    possible, outside = resize("possible", width=100), crop("outside", x=5000, y=0, width=10, height=10)
    assert [*checked_renditions(facts(), [outside, possible], LIMITS)] == ["outside"]
    assert renditions_cost(facts(), [outside, possible]) == renditions_cost(facts(), [possible])
    assert renditions_cost(facts(), [outside]).cpu_ms == 0


@pytest.mark.parametrize(
    ("header", "asked", "expected"),
    [
        (facts(), five(), CostClass.STANDARD),
        (facts(Format.AVIF, 400, 300), [resize("a", width=100)], CostClass.HEAVY),
        (facts(), [*five(), resize("avif", width=100, format="avif")], CostClass.HEAVY),
        (facts(), [resize(f"w{width}", width=width) for width in range(2000, 2030)], CostClass.HEAVY),
    ],
)
def test_the_class_is_that_of_all_together(header: Facts, asked: list[RenditionRequest], expected: CostClass) -> None:
    assert renditions_cost_class(header, asked) is expected


def test_the_overlay_of_a_rendition_is_part_of_the_cost() -> None:
    stamped = resize("stamped", width=100, overlay={"storage_key": "uploads/stamp.png"})
    overlay = facts(Format.AVIF, 3000, 3000)
    without, with_it = (
        renditions_cost(facts(), [stamped]),
        renditions_cost(facts(), [stamped], overlays={"stamped": overlay}),
    )
    assert with_it.cpu_ms > without.cpu_ms + 500
    assert with_it.memory_bytes > without.memory_bytes + 100 * MEBIBYTE


# --- memory ----------------------------------------------------------------------------------------------------------

# Where pixels stream through, where decoded ones are held, and where a rendition is nearly the picture itself.
MEMORY = ["streamed-jpeg", "held-jpeg", "held-png", "progressive-jpeg", "large-part-jpeg"]


@pytest.mark.slow
@pytest.mark.parametrize("case", MEMORY)
def test_the_memory_that_is_planned_is_that_which_is_needed(case: str) -> None:
    command = [sys.executable, "-m", "tests.unit.imaging.renditions_memory", case]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=170)
    assert run.returncode == 0, run.stderr
    measured, planned = json.loads(run.stdout)
    # The libraries' own buffers come on top, whatever the size.
    assert planned / 2 - 4 * MEBIBYTE <= measured <= planned * 1.5 + 16 * MEBIBYTE, (measured, planned)
