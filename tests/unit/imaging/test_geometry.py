"""The arithmetic of resize and crop, compared with the contract over all combinations."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.contract.errors import CropOutOfBoundsError
from darkroom.contract.parameters.crop import Bounds, CropParameters
from darkroom.contract.parameters.gravity import Compass, FocalPoint, Saliency
from darkroom.contract.parameters.resize import Fit, ResizeParameters
from darkroom.imaging.cut import Cut, cut, from_proxy, on_proxy, stored_cut
from darkroom.imaging.geometry import Rect, Size, is_turned, to_stored
from darkroom.imaging.plan import Plan
from darkroom.imaging.planning import plan_job

SOURCE_SIDES = st.one_of(st.sampled_from([1, 2, 3, 16_383]), st.integers(1, 300), st.integers(1, 16_383))
OUTPUT_SIDES = st.one_of(st.sampled_from([1, 2, 8192]), st.integers(1, 300), st.integers(1, 8192))
SIZES = st.builds(lambda width, height: Size(width=width, height=height), SOURCE_SIDES, SOURCE_SIDES)
FOCAL_POINTS = st.builds(lambda x, y: FocalPoint(x=x, y=y), st.floats(0, 1), st.floats(0, 1))
GRAVITIES = st.one_of(st.sampled_from([*Compass, *Saliency]), FOCAL_POINTS)
HALF = Fraction(1, 2)


@st.composite
def resizes(draw: st.DrawFn) -> ResizeParameters:
    width, height = draw(st.tuples(st.none() | OUTPUT_SIDES, st.none() | OUTPUT_SIDES).filter(any))
    return ResizeParameters(
        width=width,
        height=height,
        fit=draw(st.sampled_from(Fit)),
        enlarge=draw(st.booleans()),
        dpr=draw(st.sampled_from([1.0, 1.5, 2.0, 4.0]) | st.floats(1, 4)),
        gravity=draw(GRAVITIES),
    )


@st.composite
def crops(draw: st.DrawFn) -> CropParameters:
    fields: dict[str, Any] = {"bounds": draw(st.sampled_from(Bounds))}
    if draw(st.booleans()):
        fields["aspect"] = f"{draw(st.integers(1, 99))}:{draw(st.integers(1, 99))}"
        side = draw(st.sampled_from([None, "width", "height"]))
        if side is not None:
            fields[side] = draw(OUTPUT_SIDES)
    else:
        fields |= {"width": draw(OUTPUT_SIDES), "height": draw(OUTPUT_SIDES)}
    if draw(st.booleans()):
        fields |= {"x": draw(st.integers(0, 16_400)), "y": draw(st.integers(0, 16_400))}
    else:
        fields["gravity"] = draw(GRAVITIES)
    return CropParameters(**fields)


def assert_whole(plan: Plan) -> None:
    """Check that the window lies in the scaled picture, and the picture in the output."""
    assert 0 <= plan.window.left <= plan.scaled.width - plan.window.width
    assert 0 <= plan.window.top <= plan.scaled.height - plan.window.height
    assert 0 <= plan.canvas.left <= plan.output.width - plan.canvas.width
    assert 0 <= plan.canvas.top <= plan.output.height - plan.canvas.height
    assert plan.canvas.size == plan.window.size
    assert min(plan.window.width, plan.window.height) >= 1


def undistorted_within_half_a_pixel(source: Size, scaled: Size) -> bool:
    """Return whether one scale explains both sides, each rounded to whole pixels, with at least one pixel."""

    def scales(own: int, now: int) -> tuple[Fraction, Fraction]:
        least = Fraction(0) if now == 1 else (now - HALF) / own
        return least, (now + HALF) / own

    across, down = scales(source.width, scaled.width), scales(source.height, scaled.height)
    return max(across[0], down[0]) <= min(across[1], down[1])


@given(source=SIZES, asked=resizes())
@settings(max_examples=400)
def test_every_resize_lies_within_what_was_asked(source: Size, asked: ResizeParameters) -> None:
    plan = plan_job(source, asked)

    assert_whole(plan)
    if not asked.enlarge:
        assert plan.scaled.width <= source.width
        assert plan.scaled.height <= source.height
    if not (asked.fit is Fit.FILL and asked.width and asked.height):
        assert undistorted_within_half_a_pixel(source, plan.scaled)
    if asked.fit in (Fit.INSIDE, Fit.COVER, Fit.FILL, Fit.CONTAIN):
        for side, output in ((asked.width, plan.output.width), (asked.height, plan.output.height)):
            if side is not None:
                assert output <= side * Fraction(asked.dpr) + HALF


@given(source=SIZES, width=OUTPUT_SIDES, height=OUTPUT_SIDES, fit=st.sampled_from(Fit), gravity=GRAVITIES)
@settings(max_examples=400)
def test_with_enlarge_every_fit_gives_the_size_it_promises(
    source: Size, width: int, height: int, fit: Fit, gravity: Any
) -> None:
    plan = plan_job(source, ResizeParameters(width=width, height=height, fit=fit, gravity=gravity, enlarge=True))
    box = Size(width=width, height=height)
    match fit:
        case Fit.COVER | Fit.FILL | Fit.CONTAIN:
            assert plan.output == box
        case Fit.INSIDE:
            assert plan.output.width <= width
            assert plan.output.height <= height
            assert plan.output.width == width or plan.output.height == height
        case Fit.OUTSIDE:
            assert plan.output.width >= width
            assert plan.output.height >= height
            assert plan.output.width == width or plan.output.height == height


@given(source=SIZES, width=OUTPUT_SIDES, height=OUTPUT_SIDES, dpr=st.floats(1, 4))
def test_contain_gives_exactly_the_box_also_where_the_picture_is_smaller(
    source: Size, width: int, height: int, dpr: float
) -> None:
    plan = plan_job(source, ResizeParameters(width=width, height=height, fit=Fit.CONTAIN, dpr=dpr))
    assert plan.output.width >= width
    assert plan.output.height >= height
    if dpr == 1 or (source.width <= width and source.height <= height):
        assert plan.output == Size(width=width, height=height)


@given(source=SIZES, width=OUTPUT_SIDES, height=OUTPUT_SIDES)
def test_cover_without_enlarging_keeps_the_shape_of_the_box(source: Size, width: int, height: int) -> None:
    plan = plan_job(source, ResizeParameters(width=width, height=height, fit=Fit.COVER))
    assert undistorted_within_half_a_pixel(Size(width=width, height=height), plan.output)


@given(source=SIZES, asked=resizes())
def test_one_side_alone_gives_the_picture_its_own_shape_whatever_the_fit(source: Size, asked: ResizeParameters) -> None:
    one_sided = asked.model_copy(update={"height": None, "width": asked.width or asked.height})
    plan = plan_job(source, one_sided)
    assert plan.output == plan.scaled
    assert undistorted_within_half_a_pixel(source, plan.output)


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        ({"width": 400}, (400, 267)),
        ({"height": 400}, (600, 400)),
        ({"width": 400, "height": 400}, (400, 267)),
        ({"width": 400, "height": 400, "fit": "cover"}, (400, 400)),
        ({"width": 400, "height": 400, "fit": "contain"}, (400, 400)),
        ({"width": 400, "height": 100, "fit": "fill"}, (400, 100)),
        ({"width": 400, "height": 400, "fit": "outside"}, (600, 400)),
        ({"width": 400, "dpr": 2}, (800, 533)),
        ({"width": 1000, "dpr": 2}, (1200, 800)),
        ({"width": 2000}, (1200, 800)),
        ({"width": 2400, "enlarge": True}, (2400, 1600)),
        ({"width": 1600, "height": 1600, "fit": "cover"}, (800, 800)),
        ({"width": 2400, "height": 800, "fit": "fill"}, (1200, 400)),
        ({"width": 1500, "height": 1500, "fit": "contain", "dpr": 3}, (1500, 1500)),
        ({"width": 600, "height": 600, "fit": "contain", "dpr": 4}, (1200, 1200)),
    ],
)
def test_a_picture_of_1200_by_800(asked: dict[str, Any], output: tuple[int, int]) -> None:
    plan = plan_job(Size(width=1200, height=800), ResizeParameters(**asked))
    assert (plan.output.width, plan.output.height) == output


@pytest.mark.parametrize(
    ("gravity", "place"),
    [
        ("northwest", (0, 0)),
        ("north", (50, 0)),
        ("east", (100, 50)),
        ("centre", (50, 50)),
        ("southeast", (100, 100)),
        ("southwest", (0, 100)),
        (FocalPoint(x=0, y=1), (0, 100)),
        (FocalPoint(x=0.5, y=0.5), (50, 50)),
        (FocalPoint(x=0.4, y=0.3), (30, 10)),
    ],
)
def test_gravity_places_the_window(gravity: Any, place: tuple[int, int]) -> None:
    plan = plan_job(Size(width=200, height=200), CropParameters(width=100, height=100, gravity=gravity))
    assert (plan.window.left, plan.window.top) == place


@given(source=SIZES, asked=crops())
@settings(max_examples=400)
def test_a_crop_lies_inside_the_picture_or_is_refused(source: Size, asked: CropParameters) -> None:
    begins_outside = (asked.x or 0) >= source.width or (asked.y or 0) >= source.height
    try:
        plan = plan_job(source, asked)
    except CropOutOfBoundsError:
        assert begins_outside or asked.bounds is Bounds.ERROR
        return
    assert not begins_outside
    assert_whole(plan)
    assert not plan.enlarges
    if asked.aspect is None:
        assert plan.scaled == source
        if asked.bounds is Bounds.ERROR:
            assert plan.output == Size(width=asked.width or 0, height=asked.height or 0)
    if asked.x is not None and plan.scaled == source:
        assert (plan.window.left, plan.window.top) == (asked.x, asked.y)


@given(source=SIZES, across=st.integers(1, 99), down=st.integers(1, 99))
def test_an_aspect_gives_the_largest_area_of_that_shape(source: Size, across: int, down: int) -> None:
    output = plan_job(source, CropParameters(aspect=f"{across}:{down}")).output
    assert output.width == source.width or output.height == source.height
    wanted = Fraction(across, down)
    fits_width = min(Fraction(source.width), source.height * wanted)
    assert abs(output.width - fits_width) <= HALF or output.width == 1
    assert abs(output.height - fits_width / wanted) <= HALF or output.height == 1


@pytest.mark.parametrize(
    ("asked", "output"),
    [
        ({"aspect": "1:1"}, (800, 800)),
        ({"aspect": "16:9"}, (1200, 675)),
        ({"aspect": "16:9", "width": 320}, (320, 180)),
        ({"aspect": "1:2", "height": 100}, (50, 100)),
        ({"aspect": "1:1", "x": 1000, "y": 0}, (200, 200)),
        ({"aspect": "1:1", "width": 2000, "bounds": "clamp"}, (800, 800)),
        ({"width": 5000, "height": 10, "bounds": "clamp"}, (1200, 10)),
        ({"width": 500, "height": 500, "x": 1000, "y": 700, "bounds": "clamp"}, (200, 100)),
    ],
)
def test_a_crop_of_1200_by_800(asked: dict[str, Any], output: tuple[int, int]) -> None:
    plan = plan_job(Size(width=1200, height=800), CropParameters(**asked))
    assert (plan.output.width, plan.output.height) == output


@pytest.mark.parametrize(
    "asked",
    [
        {"width": 1201, "height": 10},
        {"width": 500, "height": 500, "x": 701, "y": 0},
        {"width": 1, "height": 1, "x": 1200, "y": 0},
        {"width": 1, "height": 1, "x": 0, "y": 800, "bounds": "clamp"},
        {"aspect": "1:1", "width": 801},
    ],
)
def test_a_crop_outside_the_picture_names_both_sizes(asked: dict[str, Any]) -> None:
    with pytest.raises(CropOutOfBoundsError, match=r"\d+.*\d+"):
        plan_job(Size(width=1200, height=800), CropParameters(**asked))


@given(source=SIZES, asked=resizes() | crops(), orientation=st.integers(1, 8))
@settings(max_examples=400)
def test_the_cut_of_a_stored_picture_is_always_inside_it(source: Size, asked: Any, orientation: int) -> None:
    try:
        plan = plan_job(source, asked)
    except CropOutOfBoundsError:
        return
    work = stored_cut(cut(plan), source, orientation)
    stored = source.turned if is_turned(orientation) else source
    if work.source is not None:
        assert_inside(work.source, stored)
    assert_inside(work.window, work.scaled)
    window = work.window.size.turned if is_turned(orientation) else work.window.size
    assert window == plan.window.size


@given(source=SIZES, asked=resizes())
@settings(max_examples=400)
def test_an_enlarged_cut_scales_little_more_than_the_window_and_as_much_as_the_plan(
    source: Size, asked: ResizeParameters
) -> None:
    plan = plan_job(source, asked)
    work: Cut = cut(plan)
    if work.source is None:
        return
    # Four source pixels on each side, and those that the window touches partly.
    across, down = Fraction(plan.scaled.width, source.width), Fraction(plan.scaled.height, source.height)
    assert work.scaled.width <= work.window.width + 10 * across + 1
    assert work.scaled.height <= work.window.height + 10 * down + 1
    # The window's position on the whole scaled picture, within a pixel of the output.
    assert abs(work.source.left * across + work.window.left - plan.window.left) <= 1
    assert abs(work.source.top * down + work.window.top - plan.window.top) <= 1


def assert_inside(rect: Rect, size: Size) -> None:
    assert rect.left >= 0
    assert rect.top >= 0
    assert min(rect.width, rect.height) >= 1
    assert rect.left + rect.width <= size.width
    assert rect.top + rect.height <= size.height


# EXIF's meaning of the first row and the first column (EXIF 2.32, table of tag 0x0112), as the position of the upright
# picture's top left pixel in a stored one of 3 by 2.
TOP_LEFT_IN_STORED = {1: (0, 0), 2: (2, 0), 3: (2, 1), 4: (0, 1), 5: (0, 0), 6: (0, 1), 7: (2, 1), 8: (2, 0)}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_top_left_pixel_is_found_in_the_stored_picture(orientation: int) -> None:
    stored = Size(width=3, height=2)
    oriented = stored.turned if is_turned(orientation) else stored
    found = to_stored(Rect(left=0, top=0, width=1, height=1), oriented, orientation)
    assert (found.left, found.top) == TOP_LEFT_IN_STORED[orientation]


@given(source=SIZES, asked=crops())
def test_what_is_found_on_the_proxy_settles_inside_the_picture(source: Size, asked: CropParameters) -> None:
    try:
        plan = plan_job(source, asked)
    except CropOutOfBoundsError:
        return
    proxy = on_proxy(plan, 512)
    assert max(proxy.scaled.width, proxy.scaled.height) <= 512
    assert_whole(proxy.settled(proxy.window))
    corner = Rect(
        left=proxy.scaled.width - proxy.window.width,
        top=proxy.scaled.height - proxy.window.height,
        width=proxy.window.width,
        height=proxy.window.height,
    )
    settled = from_proxy(plan, proxy, corner)
    assert settled.saliency is None
    assert_inside(settled.window, settled.scaled)
