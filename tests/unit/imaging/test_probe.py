"""Facts from the header alone, and limits that are checked before a pixel is decoded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from darkroom.contract.errors import (
    DarkroomError,
    ImageCorruptError,
    ImageTooManyFramesError,
    ImageTooManyPixelsError,
    ImageTruncatedError,
    InputTooLargeError,
    InputUnsupportedError,
)
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.values import Format
from darkroom.imaging import probe
from tests import pictures

LIMITS = Limits()
FORMATS = [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF]


def test_importing_the_package_starts_no_libvips() -> None:
    """Functions are imported in gunicorn's master before it forks."""
    script = "import sys, darkroom.imaging; sys.exit('pyvips' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_the_first_pictures_of_a_process_may_come_on_many_threads_at_once(tmp_path: Path) -> None:
    """Starting libvips blocks all loaders before it allows ours: no other thread may read a picture in between."""
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(pictures.encoded(pictures.quarters(60, 40), Format.JPEG))
    script = f"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from darkroom.contract.limits import Limits
from darkroom.imaging import probe
body, together = Path({str(picture)!r}).read_bytes(), Barrier(16)
def first(_):
    together.wait()
    return probe(body, Limits()).width
with ThreadPoolExecutor(16) as threads:
    assert list(threads.map(first, range(16))) == [60] * 16
"""
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", script], check=False, timeout=60, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("format", FORMATS)
def test_the_facts_of_a_plain_picture(format: Format) -> None:
    body = pictures.encoded(pictures.quarters(60, 40), format)
    facts = probe(body, LIMITS)
    assert (facts.format, facts.width, facts.height, facts.frames) == (format, 60, 40, 1)
    assert (facts.orientation, facts.bits, facts.has_icc) == (1, 8, False)
    assert facts.total_pixels == 2400
    assert facts.input_bytes == len(body)


@pytest.mark.parametrize(
    ("format", "extension", "content_type"),
    [
        (Format.JPEG, "jpg", "image/jpeg"),
        (Format.PNG, "png", "image/png"),
        (Format.WEBP, "webp", "image/webp"),
        (Format.AVIF, "avif", "image/avif"),
        (Format.GIF, "gif", "image/gif"),
    ],
)
def test_a_format_knows_its_extension_and_content_type(format: Format, extension: str, content_type: str) -> None:
    facts = probe(pictures.encoded(pictures.quarters(8, 8), format), LIMITS)
    assert (facts.extension, facts.content_type) == (extension, content_type)


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_of_the_upright_picture(format: Format, orientation: int) -> None:
    facts = probe(pictures.oriented(pictures.quarters(60, 40), orientation, format), LIMITS)
    assert (facts.width, facts.height, facts.orientation) == (60, 40, orientation)


def test_progressive_and_interlaced_are_read_from_the_header() -> None:
    picture = pictures.quarters(60, 40)
    assert probe(pictures.encoded(picture, Format.JPEG, interlace=True), LIMITS).progressive
    assert not probe(pictures.encoded(picture, Format.JPEG), LIMITS).progressive
    assert probe(pictures.encoded(picture, Format.PNG, interlace=True), LIMITS).progressive
    assert not probe(pictures.encoded(picture, Format.PNG), LIMITS).progressive


def test_alpha_profile_depth_and_frames_are_read_from_the_header() -> None:
    picture = pictures.quarters(60, 40)
    assert probe(pictures.encoded(pictures.disc_with_alpha(60, 40), Format.PNG), LIMITS).has_alpha
    assert probe(pictures.wide_gamut(picture, Format.JPEG), LIMITS).has_icc
    assert probe(pictures.sixteen_bit_png(picture), LIMITS).bits == 16
    assert probe(pictures.cmyk_jpeg(picture, with_profile=False), LIMITS).bands == 4
    animated = probe(pictures.animation(Format.GIF, 30, 20, frames=7), LIMITS)
    assert (animated.frames, animated.width, animated.height, animated.total_pixels) == (7, 30, 20, 4200)


@pytest.mark.parametrize("name", sorted(pictures.not_pictures()))
def test_what_is_no_allowed_picture_is_unsupported(name: str) -> None:
    with pytest.raises(InputUnsupportedError) as refused:
        probe(pictures.not_pictures()[name], LIMITS)
    assert refused.value.status == 415


def test_the_bytes_decide_and_not_the_intention_of_a_polyglot() -> None:
    assert probe(pictures.polyglot_gif(), LIMITS).format is Format.GIF


@pytest.mark.parametrize(
    ("body", "measured"),
    [
        (pictures.pixel_bomb_png(), "30000x30000"),
        (pictures.jpeg_that_claims(20_000, 20_000, orientation=6), "20000x20000"),
        (pictures.png(30_000, 1, bits=8, rows=bytes(30_001)), "30000x1"),
        (pictures.png(1, 30_000, bits=8, rows=bytes(60_000)), "1x30000"),
        (pictures.jpeg_that_claims(10_000, 5001), "50010000"),
    ],
    ids=["900 megapixels in 109 KB", "400 megapixels turned", "strip", "upright strip", "just too many"],
)
def test_too_many_pixels_are_refused_by_the_header_with_the_measured_value_and_the_limit(
    body: bytes, measured: str
) -> None:
    with pytest.raises(ImageTooManyPixelsError) as refused:
        probe(body, LIMITS)
    assert measured in refused.value.detail
    assert "limit" in refused.value.detail


def test_limits_are_inclusive() -> None:
    body = pictures.encoded(pictures.quarters(60, 40), Format.PNG)
    exact = Limits(max_pixels=2400, max_side_px=60, max_total_pixels=2400, max_input_bytes=len(body))
    assert probe(body, exact).pixels == 2400
    for tighter in (
        Limits(max_pixels=2399),
        Limits(max_side_px=59),
        Limits(max_total_pixels=2399),
    ):
        with pytest.raises(ImageTooManyPixelsError):
            probe(body, tighter)
    with pytest.raises(InputTooLargeError):
        probe(body, Limits(max_input_bytes=len(body) - 1))


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_frames_and_their_pixels_together_have_limits(format: Format) -> None:
    body = pictures.animation(format, 30, 20, frames=5)
    exact = Limits(max_frames=5, max_total_pixels=3000)
    assert probe(body, exact).frames == 5
    with pytest.raises(ImageTooManyFramesError, match=r"5 frames.*4"):
        probe(body, replace(exact, max_frames=4))
    with pytest.raises(ImageTooManyPixelsError, match=r"3000 pixels in all.*2999"):
        probe(body, replace(exact, max_total_pixels=2999))


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
def test_a_body_that_lacks_its_end_is_truncated_by_its_header(format: Format) -> None:
    body = pictures.photo(format, 200, 150)
    with pytest.raises(ImageTruncatedError, match=str(len(body) // 2)):
        probe(body[: len(body) // 2], LIMITS)


@pytest.mark.parametrize("format", FORMATS)
def test_no_length_of_a_body_is_anything_but_a_verdict(format: Format) -> None:
    """Every prefix of the first bytes, where the headers are."""
    body = pictures.encoded(pictures.quarters(16, 16), format)
    for length in range(min(len(body), 300)):
        try:
            probe(body[:length], LIMITS)
        except (InputUnsupportedError, ImageCorruptError, ImageTruncatedError):
            continue


def test_a_thumbnail_inside_a_jpeg_does_not_pass_for_its_end() -> None:
    """The EXIF block may hold a whole JPEG with an end marker of its own."""
    body = pictures.encoded(pictures.quarters(200, 150), Format.JPEG, keep="none")
    thumbnail = pictures.encoded(pictures.quarters(16, 16), Format.JPEG, keep="none")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = body[:2] + segment + body[2:]
    assert probe(with_thumbnail, LIMITS).width == 200
    with pytest.raises(ImageTruncatedError):
        probe(with_thumbnail[: len(with_thumbnail) * 9 // 10], LIMITS)


def test_a_header_that_cannot_be_read_is_corrupt() -> None:
    body = pictures.png(0, 0, bits=8, rows=b"")
    with pytest.raises(ImageCorruptError) as refused:
        probe(body, LIMITS)
    assert isinstance(refused.value, DarkroomError)
    assert refused.value.status == 422
