"""What the decoder shrinks keeps its edges, its place, its colours and its likeness to a full decode with Lanczos."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Shrink, probe, vips
from darkroom.imaging.fine_detail import has_fine_detail
from darkroom.imaging.geometry import Extent, Size
from darkroom.imaging.jpeg_frame import padded_to
from darkroom.imaging.photograph import make_photograph
from darkroom.imaging.shrinking import reduction
from tests.unit.imaging import drawings
from tests.unit.imaging.drawings import body_of, by_lanczos, decoded, displacement_px, resized
from tests.unit.imaging.pixels import psnr_db

LIMITS = Limits()
ODD_SIZES = [(807, 607), (801, 603)]
# For 807 px: steps of 8, 4, 2 and none.
WIDTHS = [50, 80, 100, 150, 201, 267, 400]
SAMPLINGS = [0, 1, 2]


def jpeg(image: Image.Image, **options: Any) -> bytes:
    return body_of(image, "JPEG", **{"quality": 92, **options})


def webp(image: Image.Image, **options: Any) -> bytes:
    return body_of(image, "WEBP", **{"quality": 92, "method": 0, **options})


# --- edges and places ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("subsampling", SAMPLINGS)
def test_a_frame_round_a_jpeg_of_odd_size_stays_on_all_four_sides(width: int, subsampling: int) -> None:
    body = jpeg(drawings.framed(807, 607), subsampling=subsampling)
    seen = resized(body, width=width)
    wanted = by_lanczos(body, seen.shape[1], seen.shape[0])
    for side in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        # Scaling in the decoder is itself not exact at so thin a line, least of all with 4:2:2.
        assert np.abs(seen[side].mean(0) - wanted[side].mean(0)).max() < 60


@pytest.mark.parametrize("size", ODD_SIZES)
@pytest.mark.parametrize("encode", [jpeg, webp])
def test_nothing_is_displaced_at_any_step(encode: Any, size: tuple[int, int]) -> None:
    body = encode(drawings.clouds(*size))
    for width in (size[0] // 11, size[0] // 8, size[0] // 5, size[0] // 4, size[0] // 3 - 1, size[0] // 2):
        seen = resized(body, width=width)
        wanted = by_lanczos(body, seen.shape[1], seen.shape[0])
        corner = np.s_[-seen.shape[0] // 4 :, -seen.shape[1] // 4 :]
        assert displacement_px(seen[corner], wanted[corner]) < 0.15, width
        assert displacement_px(seen, wanted) < 0.15, width


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", SAMPLINGS)
def test_the_padded_jpeg_shows_the_same_pixels(progressive: bool, subsampling: int) -> None:
    """Also in the scans of single components of a progressive one, whose blocks are counted from the size."""
    body = jpeg(drawings.clouds(233, 165), subsampling=subsampling, progressive=progressive)
    for step in (2, 4, 8):
        padded = padded_to(body, step)
        assert padded is not None
        assert len(padded) == len(body)
        seen = decoded(padded)
        assert seen.shape[:2] == (-(-165 // step) * step, -(-233 // step) * step)
        # The last ones are interpolated from other neighbours.
        assert np.array_equal(seen[:164, :232], decoded(body)[:164, :232])


def test_a_jpeg_of_whole_steps_is_not_copied() -> None:
    body = jpeg(drawings.clouds(64, 48))
    assert padded_to(body, 8) is body


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_odd_jpeg_of_any_orientation_stays_in_place(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = drawings.clouds(505, 373)
    stored = (
        upright.transpose(
            {
                2: Image.Transpose.FLIP_LEFT_RIGHT,
                3: Image.Transpose.ROTATE_180,
                4: Image.Transpose.FLIP_TOP_BOTTOM,
                5: Image.Transpose.TRANSPOSE,
                6: Image.Transpose.ROTATE_90,
                7: Image.Transpose.TRANSVERSE,
                8: Image.Transpose.ROTATE_270,
            }[orientation]
        )
        if orientation > 1
        else upright
    )
    body, whole = jpeg(stored, exif=exif), body_of(upright, "PNG")
    for asked in ({"width": 101}, {"width": 51, "height": 75, "fit": "cover", "gravity": "east"}):
        assert displacement_px(resized(body, **asked), resized(whole, **asked)) < 0.15


def test_both_axes_are_kept_in_place_where_they_are_scaled_differently() -> None:
    body = jpeg(drawings.clouds(807, 607))
    seen = resized(body, width=161, height=49, fit="fill")
    assert displacement_px(seen, by_lanczos(body, 161, 49)) < 0.15


@pytest.mark.parametrize("size", [(9, 9), (17, 8), (1, 1601), (1601, 1), (33, 65)])
def test_small_and_narrow_jpegs_are_shrunk_to_their_size(size: tuple[int, int]) -> None:
    body = jpeg(Image.new("RGB", size, (200, 30, 30)))
    for width in (1, 2, 3):
        seen = resized(body, width=width)
        assert np.abs(seen - [200, 30, 30]).max() < 8


# --- likeness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 2.02, 2.5, 4, 4.04, 4.5, 8, 8.1])
@pytest.mark.parametrize("draw", [drawings.text_page, drawings.zone_plate])
def test_a_jpeg_shrunk_by_a_step_or_little_more_is_as_near_to_lanczos_as_by_libvips_rule(
    draw: Any, factor: float
) -> None:
    body = jpeg(draw(800), quality=90)
    side = round(800 / factor)
    wanted = by_lanczos(body, side, side)
    fast, quality = (
        psnr_db(resized(body, width=side, shrink=shrink), wanted) for shrink in (Shrink.FAST, Shrink.QUALITY)
    )
    assert fast >= quality


@pytest.mark.parametrize("draw", [drawings.text_page, drawings.zone_plate])
@pytest.mark.parametrize("encode", [jpeg, webp])
def test_exactly_one_half_is_resampled_from_every_pixel(encode: Any, draw: Any) -> None:
    body = encode(draw(800))
    seen = resized(body, width=400)
    assert np.array_equal(seen, resized(body, width=400, shrink=Shrink.OFF))
    assert psnr_db(seen, by_lanczos(body, 400, 400)) > 40


@pytest.mark.parametrize("factor", [3, 4, 5.12, 8])
def test_a_lossless_webp_is_shrunk_as_libvips_rule_says(factor: float) -> None:
    body = webp(drawings.text_page(800), lossless=True)
    side = round(800 / factor)
    wanted = by_lanczos(body, side, side)
    assert psnr_db(resized(body, width=side), wanted) > 32


@pytest.mark.parametrize(
    ("factor", "step", "for_fine_detail"),
    [
        (1.5, 1, None),
        (2, 2, 1),
        (2.99, 2, 1),
        (3, 2, None),
        (4, 4, 2),
        (4.9, 4, 2),
        (5, 4, None),
        (8, 8, 4),
        (9.9, 8, 4),
        (10, 8, None),
        (40, 8, None),
    ],
)
def test_between_two_steps_of_a_jpeg_its_detail_decides(factor: float, step: int, for_fine_detail: int | None) -> None:
    body = jpeg(Image.new("L", (1200, 1200)))
    scaled = Size(width=int(1200 / factor), height=int(1200 / factor))
    found = reduction(body, probe(body, LIMITS), scaled, Shrink.FAST)
    assert found.options.get("shrink", 1) == found.step == step
    assert found.extent == (None if step == 1 else Extent.of(Size(width=1200, height=1200), step))
    assert (None if found.if_fine is None else found.if_fine.step) == for_fine_detail


@pytest.mark.parametrize(("size", "factor"), [((1201, 1200), 4), ((1200, 1206), 4), ((5000, 3400), 2)])
def test_a_jpeg_with_part_of_a_sample_at_its_edge_or_too_large_to_look_at_is_shrunk_carefully(
    size: tuple[int, int], factor: int
) -> None:
    body = jpeg(Image.new("L", size))
    scaled = Size(width=size[0] // factor, height=size[1] // factor)
    found = reduction(body, probe(body, LIMITS), scaled, Shrink.FAST)
    assert (found.step, found.if_fine) == (factor // 2, None)


@pytest.mark.parametrize("step", [2, 4, 8])
@pytest.mark.parametrize("quality", [75, 92])
def test_a_photograph_is_shrunk_by_the_whole_step_and_loses_less_than_its_encoder_does(step: int, quality: int) -> None:
    body = jpeg(Image.open(BytesIO(make_photograph(1600, 1200))), quality=quality)
    assert not has_fine_detail(shrunk(body, step), step=step)
    width, height = 1600 // step, 1200 // step
    wanted = by_lanczos(body, width, height)
    encoded = decoded(jpeg(Image.fromarray(wanted.astype(np.uint8)), quality=80))
    assert psnr_db(resized(body, width=width), wanted) > psnr_db(encoded, wanted)


@pytest.mark.parametrize("step", [2, 4, 8])
@pytest.mark.parametrize("draw", [drawings.text_page, drawings.zone_plate])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_text_and_patterns_have_fine_detail(draw: Any, step: int, mode: str) -> None:
    assert has_fine_detail(shrunk(jpeg(draw(800).convert(mode)), step), step=step)


def test_a_few_lines_on_an_empty_page_are_fine_detail() -> None:
    page = Image.new("RGB", (1600, 1600), "white")
    page.paste(drawings.text_page(800).crop((0, 0, 800, 200)), (400, 700))
    for step in (2, 4, 8):
        assert has_fine_detail(shrunk(jpeg(page), step), step=step), step


@pytest.mark.parametrize("factor", [2, 2.1, 2.5, 2.9, 4, 4.4, 8, 9.4])
def test_a_few_lines_on_an_empty_page_are_as_near_to_lanczos_as_by_libvips_rule(factor: float) -> None:
    page = Image.new("RGB", (1600, 1600), "white")
    page.paste(drawings.text_page(800).crop((0, 0, 800, 200)), (400, 700))
    body, side = jpeg(page), round(1600 / factor)
    wanted = by_lanczos(body, side, side)
    fast, quality = (
        psnr_db(resized(body, width=side, shrink=shrink), wanted) for shrink in (Shrink.FAST, Shrink.QUALITY)
    )
    assert fast >= quality


@pytest.mark.parametrize("step", [2, 4, 8])
def test_only_what_has_fine_detail_is_decoded_again(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []

    def load(*arguments: Any, **options: Any) -> Any:
        steps.append(options.get("shrink", 1))
        return original(*arguments, **options)

    original = vips.load
    monkeypatch.setattr(vips, "load", load)
    resized(make_photograph(1600, 1200), width=1600 // step)
    assert steps == [step]
    steps.clear()
    resized(jpeg(drawings.text_page(800)), width=800 // step)
    assert steps == [step, step // 2]


@pytest.mark.parametrize("size", [(8, 8), (1600, 8), (8, 1600), (200, 136)])
def test_a_picture_of_one_colour_has_no_detail_at_any_size(size: tuple[int, int]) -> None:
    assert not has_fine_detail(shrunk(jpeg(Image.new("RGB", size, "red")), 8), step=8)


def shrunk(body: bytes, step: int) -> Any:
    return vips.load(Format.JPEG, body, strict=True, shrink=step).copy_memory()


# --- alpha -----------------------------------------------------------------------------------------------------------


def disc_over_hidden_white(side: int) -> Image.Image:
    image = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((side // 5, side // 5, side * 4 // 5, side * 4 // 5), fill=(20, 60, 30, 255))
    return image


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("width", [300, 150, 100])
def test_hidden_colours_of_a_webp_do_not_bleed(width: int, lossless: bool) -> None:
    body = webp(disc_over_hidden_white(600), exact=True, lossless=lossless)
    assert probe(body, LIMITS).format is Format.WEBP
    for shrink in Shrink:
        seen = resized(body, "RGBA", width=width, shrink=shrink)
        visible = seen[seen[..., 3] > 128][:, :3]
        assert np.abs(visible - [20, 60, 30]).max() <= 30
