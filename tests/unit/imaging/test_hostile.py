"""Hostile pictures: every input gets a result or an error with a code. Nothing crashes, hangs or returns half a
picture.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from darkroom.contract.errors import (
    ImageCorruptError,
    ImageTooManyPixelsError,
    ImageTruncatedError,
    InputUnsupportedError,
)
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import render
from darkroom.imaging.vips import library
from tests import pictures
from tests.unit.imaging.pixels import opened

LIMITS = Limits()
FORMATS = [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF]
SMALL = parse_parameters(ResizeParameters, {"width": 50, "format": "jpeg"})
TOP_LEFT = parse_parameters(CropParameters, {"x": 0, "y": 0, "width": 16, "height": 16, "format": "jpeg"})
REPOSITORY = Path(__file__).parents[3]
VERDICTS = {
    "rendered",
    "input.unsupported",
    "image.corrupt",
    "image.truncated",
    "image.too_many_pixels",
    "image.too_many_frames",
}


def changed_at_random(format: Format, count: int, *, timeout_s: float) -> dict[str, int]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.imaging.hostile_run", format, str(count)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert run.returncode == 0, f"the process ended with {run.returncode}: {run.stderr[-2000:]}"
    verdicts: dict[str, int] = json.loads(run.stdout)
    return verdicts


@pytest.mark.parametrize("format", FORMATS)
def test_pictures_with_random_bytes_changed_get_a_verdict(format: Format) -> None:
    verdicts = changed_at_random(format, 150, timeout_s=100)
    assert sum(verdicts.values()) == 150
    assert set(verdicts) <= VERDICTS
    assert len(verdicts) > 1, "some must be refused, or nothing was changed that counts"


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_thousand_pictures_with_random_bytes_changed_get_a_verdict(format: Format) -> None:
    verdicts = changed_at_random(format, 1000, timeout_s=170)
    assert sum(verdicts.values()) == 1000
    assert set(verdicts) <= VERDICTS


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("parameters", [SMALL, TOP_LEFT], ids=["resize", "crop of what is there"])
def test_a_jpeg_cut_at_a_tenth_of_its_length_is_never_half_a_picture(
    tenth: int, progressive: bool, parameters: OutputParameters
) -> None:
    body = pictures.photo(Format.JPEG, 320, 240, interlace=progressive)
    with pytest.raises(InputUnsupportedError if tenth == 0 else ImageTruncatedError):
        render(body[: len(body) * tenth // 10], parameters, LIMITS)


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("format", [Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
def test_other_formats_cut_at_a_tenth_of_their_length_are_refused(format: Format, tenth: int) -> None:
    body = pictures.photo(format, 200, 150)
    with pytest.raises((ImageTruncatedError, ImageCorruptError)):
        render(body[: len(body) * tenth // 10], SMALL, LIMITS)


@pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
@pytest.mark.parametrize("tenth", [1, 5, 9])
def test_an_avif_of_full_length_whose_last_pixels_were_never_written_is_refused(tenth: int, filling: bytes) -> None:
    """An interrupted copy. The container is whole, and AV1 has no checksum: libaom sees that a tile does not end as it
    must (AV1, 8.2.4, exit process for symbol decoder). A decoder that does not check, like dav1d by default, makes half
    a picture of it.
    """
    body = pictures.photo(Format.AVIF, 320, 240, keep="none")
    pixels_offset = body.index(b"mdat") + 4
    written = pixels_offset + (len(body) - pixels_offset) * tenth // 10
    with pytest.raises(ImageCorruptError):
        render(body[:written] + filling * (len(body) - written), SMALL, LIMITS)


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_cut_animation_is_refused_even_between_two_frames(format: Format, tenth: int) -> None:
    body = pictures.animation(format)
    with pytest.raises((ImageTruncatedError, ImageCorruptError)):
        render(body[: len(body) * tenth // 10], SMALL, LIMITS)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cut_jpeg_with_an_end_marker_put_on_is_refused(progressive: bool) -> None:
    """libjpeg only warns of this, and fills the rest with grey."""
    body = pictures.photo(Format.JPEG, 320, 240, interlace=progressive)
    with pytest.raises(ImageTruncatedError):
        render(body[: len(body) // 2] + b"\xff\xd9", SMALL, LIMITS)


def test_bytes_between_the_pixels_and_the_end_of_a_jpeg_do_no_harm() -> None:
    """libjpeg calls it corrupt, yet every pixel is there; cameras write such pictures."""
    body = pictures.photo(Format.JPEG, 320, 240)
    padded = body[:-2] + b"\xff\x00\x12\x34" * 8 + body[-2:]
    followed = body + b"trailing bytes" * 10
    plain = render(body, SMALL, LIMITS)
    assert render(padded, SMALL, LIMITS).body == plain.body
    assert render(followed, SMALL, LIMITS).body == plain.body


def test_a_gif_with_zeros_behind_its_end_or_a_script_is_whole() -> None:
    body = pictures.encoded(pictures.quarters(64, 48), Format.GIF)
    for whole in (body, body + bytes(9), pictures.polyglot_gif()):
        assert render(whole, parse_parameters(ResizeParameters, {"width": 20}), LIMITS).width == 20


@pytest.mark.parametrize("format", FORMATS)
def test_a_polyglot_comes_out_as_a_picture_and_nothing_else(format: Format) -> None:
    parameters = parse_parameters(ResizeParameters, {"width": 16, "format": format.value})
    result = render(pictures.polyglot_gif(), parameters, LIMITS).body
    assert b"alert" not in result
    assert b"document" not in result
    assert opened(result).size == (16, 12)


@pytest.mark.parametrize("name", sorted(pictures.not_pictures()))
def test_render_refuses_what_is_no_picture_as_probe_does(name: str) -> None:
    with pytest.raises(InputUnsupportedError):
        render(pictures.not_pictures()[name], SMALL, LIMITS)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ImageTooManyPixelsError):
        render(pictures.pixel_bomb_png(), SMALL, LIMITS)
    with pytest.raises(ImageTooManyPixelsError):
        render(pictures.jpeg_that_claims(20_000, 20_000, orientation=6), SMALL, LIMITS)


def test_a_header_that_promises_more_than_the_body_holds_is_an_error() -> None:
    with pytest.raises((ImageCorruptError, ImageTruncatedError)):
        render(pictures.jpeg_that_claims(3000, 2000), SMALL, LIMITS)
    with pytest.raises((ImageCorruptError, ImageTruncatedError)):
        render(pictures.png(3000, 2000, bits=8, rows=bytes(3001)), SMALL, LIMITS)


def test_libvips_itself_refuses_what_is_not_on_the_list() -> None:
    pyvips = library()
    for name in ("svg", "pdf", "tiff", "heic"):
        with pytest.raises(pyvips.Error):
            pyvips.Image.new_from_buffer(pictures.not_pictures()[name], "")
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_file(str(Path(__file__)))
    with pytest.raises(pyvips.Error, match="operation is blocked"):
        pyvips.Image.tiffload_buffer(pictures.not_pictures()["tiff"])
    with pytest.raises(pyvips.Error, match="operation is blocked"):
        pictures.quarters(8, 8).tiffsave_buffer()
