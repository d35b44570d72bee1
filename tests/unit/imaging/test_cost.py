"""Which jobs are heavy, determined from the header alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import WRITTEN_FORMATS, Format
from darkroom.imaging import CostClass, Facts, cost_class, estimate


def facts(format: Format = Format.JPEG, width: int = 2048, height: int = 1536, **others: Any) -> Facts:
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


def resize(**fields: Any) -> OutputParameters:
    return parse_parameters(ResizeParameters, fields)


@pytest.mark.parametrize(
    ("picture", "asked"),
    [
        (facts(), resize(width=512)),
        (facts(width=4000, height=3000), resize(width=400)),
        (facts(width=7360, height=4912), resize(width=512)),
        (facts(progressive=True), resize(width=512)),
        (facts(Format.PNG), resize(width=512)),
        (facts(Format.WEBP), resize(width=512, sharpen=1)),
        (facts(Format.GIF, 480, 360, frames=40), resize(width=200)),
        (facts(), resize(width=1000, format="webp")),
    ],
)
def test_everyday_jobs_are_standard(picture: Facts, asked: OutputParameters) -> None:
    assert cost_class(picture, asked) is CostClass.STANDARD


@pytest.mark.parametrize(
    ("picture", "asked"),
    [
        (facts(width=7360, height=4912, progressive=True), resize(width=512)),
        (facts(Format.GIF, 480, 360, frames=40), resize(width=200, animation="all")),
        (facts(Format.AVIF, 200, 200), resize(width=100)),
        (facts(), resize(width=100, format="avif")),
        (facts(Format.PNG, 8000, 6000), resize(width=100)),
        (facts(width=8000, height=6000), resize(width=6000)),
        (facts(), resize(width=2000, format="gif")),
    ],
)
def test_hard_jobs_are_heavy(picture: Facts, asked: OutputParameters) -> None:
    assert cost_class(picture, asked) is CostClass.HEAVY


@given(
    format=st.sampled_from([one for one in Format if one is not Format.KEEP]),
    target=st.sampled_from(WRITTEN_FORMATS),
    width=st.integers(1, 16_383),
    progressive=st.booleans(),
    effort=st.none() | st.integers(0, 9),
)
def test_more_pixels_never_cost_less(
    format: Format, target: Format, width: int, progressive: bool, effort: int | None
) -> None:
    fields: dict[str, Any] = {"width": 64, "format": target.value}
    asked = resize(**fields) if effort is None else resize(**fields, effort=effort)
    small = estimate(facts(format, width, 100, progressive=progressive), asked)
    large = estimate(facts(format, width, 200, progressive=progressive), asked)
    assert large.cpu_ms >= small.cpu_ms > 0
    assert large.memory_bytes >= small.memory_bytes


@given(format=st.sampled_from([one for one in WRITTEN_FORMATS if one is not Format.KEEP]), effort=st.integers(0, 8))
def test_more_effort_never_costs_less(format: Format, effort: int) -> None:
    less, more = (
        estimate(facts(), resize(width=1000, format=format.value, effort=one)) for one in (effort, effort + 1)
    )
    assert more.cpu_ms >= less.cpu_ms


@pytest.mark.parametrize(("format", "effort", "times"), [("avif", 4, 8), ("png", 9, 4), ("webp", 4, 1.5)])
def test_effort_weighs_what_the_encoders_make_of_it(format: str, effort: int, times: float) -> None:
    """A 2K JPEG to 1000 px, compared with effort 1, as measured."""
    least = estimate(facts(), resize(width=1000, format=format, effort=1))
    asked = estimate(facts(), resize(width=1000, format=format, effort=effort))
    assert asked.cpu_ms > times * least.cpu_ms
