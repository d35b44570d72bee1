"""Results are no larger than they need to be: palettes, losslessness, filters, and limits on bytes."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from darkroom.contract.errors import ParametersInvalidError, ResultTooLargeError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Rendition, checked_plan, probe, render
from darkroom.imaging.fitting import MAX_ENCODES, best_that_fits
from darkroom.imaging.original import jpeg_quality
from darkroom.imaging.vips import library, save
from tests import pictures
from tests.unit.imaging.pixels import opened, psnr_db, samples

LIMITS = Limits()


def resized(body: bytes, **fields: Any) -> Rendition:
    return render(body, parse_parameters(ResizeParameters, fields), LIMITS)


def by_pillow(image: Image.Image, format: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, format, **options)
    return body.getvalue()


@cache
def screenshot(width: int = 1200, height: int = 800, colours: int = 64) -> Image.Image:
    """Flat areas and text without soft edges, in exactly that many colours."""
    random = np.random.default_rng(5)
    palette = random.integers(0, 256, (colours, 3))
    image = Image.new("P", (width, height), 0)
    image.putpalette([int(sample) for sample in palette.flatten()])
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    for index in range(80):
        left, top = int(random.integers(0, width)), int(random.integers(0, height))
        right, bottom = left + int(random.integers(20, 300)), top + int(random.integers(5, 90))
        draw.rectangle((left, top, right, bottom), fill=index % colours)
        draw.text((left + 4, top + 4), f"Setting number {index}: on", fill=(index * 7 + 1) % colours)
    return image


@cache
def photograph(width: int = 400, height: int = 300) -> Image.Image:
    return opened(pictures.photo(Format.PNG, width, height)).convert("RGB")


def pixels(body: bytes) -> NDArray[np.uint8]:
    return np.asarray(opened(body).convert("RGBA"))


# --- what keep keeps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [2, 3, 16, 64, 256])
def test_keep_keeps_a_palette(colours: int) -> None:
    body = by_pillow(screenshot(600, 400, colours), "PNG", optimize=True)
    result = resized(body, width=600).body
    assert opened(result).mode == "P"
    assert (pixels(result) == pixels(body)).all()
    assert len(result) <= len(body)
    smaller = resized(body, width=300).body
    assert opened(smaller).mode == "P"
    truecolour = resized(body, width=300, palette=False).body
    assert opened(truecolour).mode == "RGB"
    assert psnr_db(samples(smaller), samples(truecolour)) > 30


def test_a_palette_with_transparent_colours_is_kept() -> None:
    body = by_pillow(screenshot(300, 200, 8), "PNG", transparency=0)
    result = resized(body, width=300).body
    assert opened(result).mode == "P"
    seen, wanted = pixels(result), pixels(body)
    assert (seen[..., 3] == wanted[..., 3]).all()
    assert (seen[wanted[..., 3] > 0] == wanted[wanted[..., 3] > 0]).all()


def test_a_palette_is_made_where_it_is_asked_for() -> None:
    body = by_pillow(photograph(), "PNG")
    whole, few = (
        resized(body, width=400, format="png", **options).body for options in ({"palette": True}, {"colours": 16})
    )
    assert opened(whole).mode == opened(few).mode == "P"
    found = opened(few).convert("RGB").getcolors(65_536)
    assert found is not None
    assert len(found) <= 16
    assert len(few) < len(whole) < len(body) / 2
    assert psnr_db(samples(whole), samples(body)) > 30
    assert opened(resized(body, width=400).body).mode == "RGB"


@pytest.mark.parametrize("colours", [2, 3, 7, 8, 16, 40, 128, 200, 256])
@pytest.mark.parametrize("format", [Format.PNG, Format.GIF])
@pytest.mark.parametrize("kind", ["photograph", "alpha", "grey"])
def test_a_palette_has_no_more_colours_than_asked_for(format: Format, colours: int, kind: str) -> None:
    image = photograph(120, 90).copy()
    if kind == "alpha":
        image.putalpha(Image.linear_gradient("L").resize((120, 90)))
    body = by_pillow(image.convert("L") if kind == "grey" else image, "PNG")
    result = resized(body, width=60, format=format, colours=colours).body
    listed = opened(result).convert("RGBA").getcolors(65_536)
    assert listed is not None
    # A PNG with alpha has 2, 4, 16 or 256.
    assert colours / 16 <= len(listed) <= colours
    assert opened(result).mode in {"P", "L", "1"}


def test_keep_keeps_losslessness() -> None:
    body = by_pillow(screenshot().convert("RGB"), "WEBP", lossless=True)
    result = resized(body, width=1200).body
    assert (pixels(result) == pixels(body)).all()
    assert len(result) <= len(body)
    reduced, as_png = resized(body, width=600).body, resized(body, width=600, format="png").body
    assert (pixels(reduced) == pixels(as_png)).all()
    assert len(resized(body, width=600, quality=50).body) < len(resized(body, width=600, quality=90).body)


@pytest.mark.parametrize("format", [Format.WEBP, Format.AVIF, Format.PNG])
def test_lossless_keeps_every_pixel(format: Format) -> None:
    body = by_pillow(photograph(120, 90), "PNG")
    assert (pixels(resized(body, width=120, format=format, lossless=True).body) == pixels(body)).all()


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"lossless": True}, "lossless"), ({"palette": True}, "palette"), ({"colours": 8}, "colours")],
)
def test_what_the_kept_format_does_not_have_is_refused_by_the_header(fields: dict[str, Any], word: str) -> None:
    body = pictures.photo(Format.JPEG, 64, 48)
    parameters = parse_parameters(ResizeParameters, {"width": 32, **fields})
    with pytest.raises(ParametersInvalidError, match=f"{word} is for .*jpeg"):
        checked_plan(probe(body, LIMITS), parameters, LIMITS)
    with pytest.raises(ParametersInvalidError, match=word):
        render(body, parameters, LIMITS)


# --- never larger than the original ----------------------------------------------------------------------------------


@cache
def originals() -> dict[str, bytes]:
    photo, shot = photograph(), screenshot(600, 400)
    return {
        **{f"jpeg {quality}": by_pillow(photo, "JPEG", quality=quality) for quality in (5, 30, 75, 95)},
        "jpeg progressive": by_pillow(photo, "JPEG", quality=60, progressive=True, optimize=True),
        "jpeg without subsampling": by_pillow(photo, "JPEG", quality=40, subsampling=0),
        "jpeg grey": by_pillow(photo.convert("L"), "JPEG", quality=30),
        "jpeg tiny": by_pillow(photo.resize((1, 1)), "JPEG"),
        **{f"webp {quality}": by_pillow(photo, "WEBP", quality=quality, method=6) for quality in (5, 40, 90)},
        "webp lossless": by_pillow(shot.convert("RGB"), "WEBP", lossless=True),
        "webp lossless, large": by_pillow(screenshot().convert("RGB"), "WEBP", lossless=True),
        **{f"avif {quality}": by_pillow(photo, "AVIF", quality=quality, speed=4) for quality in (10, 50)},
        "png photograph": by_pillow(photo, "PNG", optimize=True),
        "png screenshot": by_pillow(shot.convert("RGB"), "PNG", optimize=True),
        "png palette": by_pillow(shot, "PNG", optimize=True),
        "png grey": by_pillow(photo.convert("L"), "PNG", optimize=True),
        "png one bit": by_pillow(photo.convert("1"), "PNG", optimize=True),
        "png with alpha": by_pillow(photo.convert("RGBA"), "PNG", optimize=True),
        "gif photograph": by_pillow(photo.quantize(256), "GIF"),
        "gif screenshot": by_pillow(shot, "GIF"),
    }


@pytest.mark.parametrize("name", sorted(originals()))
def test_a_mere_reencode_is_never_larger_than_the_original(name: str) -> None:
    body = originals()[name]
    width = opened(body).width
    result = resized(body, width=width).body
    assert len(result) <= len(body)
    is_lossless = name.startswith(("png", "gif screenshot", "webp lossless"))
    if is_lossless:
        assert (pixels(result) == pixels(body)).all()
    elif width > 1:
        assert psnr_db(samples(result), samples(body)) > (24 if name in {"webp 5", "avif 10"} else 28)


def test_no_byte_behind_the_pixels_or_beside_them_is_passed_through() -> None:
    body = by_pillow(screenshot(300, 200).convert("RGB"), "PNG", optimize=True) + b"SecretTrailer"
    chunk = pictures._chunk(b"tEXt", b"Comment\x00SecretComment")
    result = resized(body[:33] + chunk + body[33:], width=300).body
    assert b"Secret" not in result


def test_where_pixels_are_asked_to_change_the_quality_is_the_one_asked_for() -> None:
    body = by_pillow(photograph(), "JPEG", quality=10)
    plain = jpeg_quality(resized(body, width=400, flip="horizontal").body)
    assert plain == 80
    assert jpeg_quality(resized(body, width=300).body) == 80
    assert jpeg_quality(resized(body, width=400, sharpen=1).body) == 80


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 80, 95, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    for body in (
        by_pillow(photograph(64, 48), "JPEG", quality=quality),
        save(Format.JPEG, pictures.quarters(64, 48), Q=quality),
    ):
        assert jpeg_quality(body) == quality


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x04\x00\x01", b"\xff\xd8\xff\xdb\xff\xff\x00", b"x" * 99]
)
def test_a_jpeg_without_tables_has_no_quality(body: bytes) -> None:
    assert jpeg_quality(body) is None


# --- PNG filters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [600, 1200])
def test_flat_graphics_are_not_filtered(width: int) -> None:
    body = by_pillow(screenshot().convert("RGB"), "PNG")
    result = resized(body, width=width, format="png").body
    as_libvips = save(
        Format.PNG, library().Image.new_from_array(samples(result)).cast("uchar").copy(interpretation="srgb")
    )
    assert len(result) <= 1.01 * len(as_libvips)


def test_photographs_are_filtered() -> None:
    body = pictures.photo(Format.JPEG, 640, 480)
    result = resized(body, width=640, format="png").body
    unfiltered = save(Format.PNG, library().Image.new_from_array(samples(result)).cast("uchar"))
    assert len(result) < 0.8 * len(unfiltered)


# --- max_bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_the_quality_is_lowered_until_the_result_fits(format: Format) -> None:
    body = pictures.photo(Format.PNG, 400, 300)
    free = resized(body, width=400, format=format).body
    limit = len(free) // 2
    fitted = resized(body, width=400, format=format, max_bytes=limit).body
    assert limit * 0.75 < len(fitted) <= limit
    assert resized(body, width=400, format=format, max_bytes=len(free)).body == free


def test_metadata_counts() -> None:
    body = pictures.with_metadata(pictures.quarters(400, 300))
    limit = len(resized(body, width=200, metadata="all").body) - 10
    assert len(resized(body, width=200, metadata="all", max_bytes=limit).body) <= limit


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_what_cannot_fit_is_an_error_with_both_numbers(format: Format) -> None:
    body = pictures.photo(Format.PNG, 400, 300)
    with pytest.raises(ResultTooLargeError, match=r"400x300 px found has \d+ bytes, max_bytes is 100;"):
        resized(body, width=400, format=format, max_bytes=100)


def test_a_kept_losslessness_gives_way_to_max_bytes() -> None:
    body = by_pillow(photograph(), "WEBP", lossless=True)
    assert len(resized(body, width=400, max_bytes=20_000).body) <= 20_000
    assert (pixels(resized(body, width=400, max_bytes=len(body)).body) == pixels(body)).all()


@pytest.mark.parametrize("quality", [1, 2, 3, 50, 80, 100])
@pytest.mark.parametrize("fitting", [0, 1, 2, 20, 49, 79, 100])
def test_the_search_is_short_and_comes_near_the_best(quality: int, fitting: int) -> None:
    tried: list[int] = []

    def encode(at: int) -> bytes:
        tried.append(at)
        return bytes(1000 * at)

    found = best_that_fits(encode, quality, 1000 * fitting)
    assert len(tried) <= MAX_ENCODES
    assert tried[0] == quality
    best = min(quality, fitting)
    if fitting == 0:
        assert len(found) == 1000 * min(tried)
        assert 1 in tried
    else:
        assert best - 4 <= len(found) // 1000 <= best
