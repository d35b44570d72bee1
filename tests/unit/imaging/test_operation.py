"""A function's own operation on a picture, with all the guarantees of a render."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import ImageOps

from darkroom.contract.errors import ImageTooManyPixelsError, ImageTruncatedError, InternalError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Animation, Format, Metadata
from darkroom.imaging import Image, Rendition, probe
from darkroom.imaging.animation import timing_of
from darkroom.imaging.vips import load
from darkroom.serving.picture import Picture
from tests import pictures
from tests.unit.imaging.pixels import close, frames_of, opened, psnr_db, rgb_at, samples

LIMITS = Limits()
ANIMATED = [Format.GIF, Format.WEBP]


def applied(body: bytes, operation: Callable[[Image], Image], parameters: OutputParameters | None = None) -> Rendition:
    picture = Picture(body=body, facts=probe(body, LIMITS), limits=LIMITS)
    rendition = picture.apply(operation, parameters or OutputParameters())
    assert opened(rendition.body).size == (rendition.width, rendition.height)
    return rendition


def grey(frame: Image) -> Image:
    return frame.colourspace("b-w")


def negative(frame: Image) -> Image:
    """An operation in floating point, like pyvips' arithmetic."""
    return 255.0 - frame


@pytest.mark.parametrize("target", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
def test_an_operation_is_seen_in_every_format(target: Format) -> None:
    body = pictures.photo(Format.JPEG, 320, 240)
    rendition = applied(body, grey, OutputParameters(format=target, quality=95))
    assert (rendition.format, rendition.width, rendition.height) == (target, 320, 240)
    result = samples(rendition.body)
    assert np.abs(result - result.mean(axis=2, keepdims=True)).max() < 3
    by_pillow = np.asarray(ImageOps.grayscale(opened(body)).convert("RGB"), dtype=np.float64)
    assert psnr_db(result, by_pillow) > 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_operation_sees_the_picture_upright(orientation: int) -> None:
    body = pictures.oriented(pictures.quarters(120, 80), orientation, Format.PNG)
    seen: list[tuple[int, int]] = []

    def left_half(frame: Image) -> Image:
        seen.append((frame.width, frame.height))
        return frame.crop(0, 0, frame.width // 2, frame.height)

    upright = ImageOps.exif_transpose(opened(body))
    rendition = applied(body, left_half)
    assert seen == [upright.size]
    assert (rendition.width, rendition.height) == (upright.width // 2, upright.height)
    expected = np.asarray(upright.convert("RGB").crop((0, 0, upright.width // 2, upright.height)), dtype=np.float64)
    assert np.array_equal(samples(rendition.body), expected)


def test_a_result_in_floating_point_is_written_in_eight_bits() -> None:
    body = pictures.encoded(pictures.quarters(40, 40), Format.PNG)
    assert np.array_equal(samples(applied(body, negative).body), 255 - samples(body))


@pytest.mark.parametrize("target", ANIMATED)
@pytest.mark.parametrize("source", ANIMATED)
def test_every_frame_is_worked_on_and_keeps_its_time(source: Format, target: Format) -> None:
    body = pictures.animation(source, 80, 60, 5)
    heights: list[int] = []

    def made_anew(frame: Image) -> Image:
        """Copy the bare samples, so that neither timing nor palette is carried along."""
        heights.append(frame.height)
        bare = 255 - np.asarray(frame.numpy())[:, :, :3]
        return frame.new_from_memory(bare.tobytes(), frame.width, frame.height, 3, "uchar")

    rendition = applied(body, made_anew, OutputParameters(animation=Animation.ALL, format=target, quality=95))
    assert (rendition.frames, heights) == (5, [60] * 5)
    before, after = frames_of(body), frames_of(rendition.body)
    assert len(after) == 5
    for shown, original in zip(after, before, strict=True):
        assert psnr_db(np.asarray(shown, np.float64), 255 - np.asarray(original, np.float64)) > 25
    assert timing_of(load(target, rendition.body, n=-1)) == timing_of(load(source, body, n=-1))


def test_a_gif_gets_the_colours_of_the_operation_and_not_its_old_palette() -> None:
    body = pictures.photo(Format.GIF, 160, 120)
    expected = 255 - samples(body)
    assert psnr_db(samples(applied(body, negative).body), expected) > 30


def test_the_background_is_laid_under_what_the_operation_made() -> None:
    body = pictures.encoded(pictures.disc_with_alpha(60, 60), Format.PNG)
    rendition = applied(body, grey, OutputParameters(format=Format.JPEG, background="#00ff00", quality=95))
    assert close(rgb_at(rendition.body, 0.02, 0.02), (0, 255, 0))
    red, green, blue = rgb_at(rendition.body, 0.5, 0.5)
    assert max(red, green, blue) - min(red, green, blue) < 12


def test_sharpening_comes_after_the_operation() -> None:
    body = pictures.photo(Format.PNG, 160, 120)
    plain = samples(applied(body, grey).body)
    sharp = samples(applied(body, grey, OutputParameters(sharpen=2.0)).body)
    assert np.abs(np.diff(sharp, axis=1)).sum() > 1.1 * np.abs(np.diff(plain, axis=1)).sum()


def test_a_model_that_is_made_from_resizes_is_resized_first() -> None:
    class SepiaParameters(ResizeParameters):
        pass

    sizes: list[tuple[int, int]] = []

    def seen(frame: Image) -> Image:
        sizes.append((frame.width, frame.height))
        return frame

    rendition = applied(pictures.photo(Format.JPEG, 640, 480), seen, SepiaParameters(width=160))
    assert sizes == [(160, 120)]
    assert (rendition.width, rendition.height) == (160, 120)


def test_metadata_is_kept_as_asked_even_by_an_operation_that_makes_its_picture_anew() -> None:
    body = pictures.with_metadata(pictures.quarters(40, 40))
    painted: Callable[[Image], Image] = lambda frame: frame.new_from_memory(  # noqa: E731
        bytes(40 * 40 * 3), 40, 40, 3, "uchar"
    )
    kept = opened(applied(body, painted, OutputParameters(metadata=Metadata.ALL)).body)
    assert dict(kept.getexif())
    stripped = opened(applied(body, painted).body)
    assert not dict(stripped.getexif())


# --- limits and errors -----------------------------------------------------------------------------------------------


def test_a_picture_that_an_operation_makes_too_large_is_refused_with_its_size() -> None:
    body = pictures.encoded(pictures.quarters(100, 10), Format.PNG)
    with pytest.raises(ImageTooManyPixelsError, match="9000x10 px, the limit is 8192"):
        applied(body, lambda frame: frame.resize(90.0, vscale=1.0))


def test_a_picture_that_is_too_large_for_the_output_is_refused_before_the_operation() -> None:
    body = pictures.encoded(pictures.plain(8200, 10), Format.PNG)
    with pytest.raises(ImageTooManyPixelsError, match="8200x10 px"):
        applied(body, unreachable)


def test_a_broken_picture_is_its_own_fault_and_no_operation_sees_it() -> None:
    body = pictures.photo(Format.JPEG, 320, 240)
    with pytest.raises(ImageTruncatedError):
        applied(body[: len(body) // 2], unreachable)


def unreachable(frame: Image) -> Image:
    raise AssertionError("the operation was called")


def test_a_fault_of_libvips_in_an_operation_is_ours_and_no_pictures() -> None:
    body = pictures.encoded(pictures.plain(10, 10), Format.PNG)
    with pytest.raises(InternalError, match="libvips"):
        applied(body, lambda frame: frame.extract_area(0, 0, 20, 20))


def test_what_an_operation_raises_passes() -> None:
    def broken(frame: Image) -> Image:
        raise KeyError("of the function")

    with pytest.raises(KeyError, match="of the function"):
        applied(pictures.encoded(pictures.plain(10, 10), Format.PNG), broken)


def test_an_operation_that_returns_no_picture_raises_type_error() -> None:
    nothing: Any = lambda frame: None  # noqa: E731
    with pytest.raises(TypeError, match=r"must return a pyvips\.Image, returned NoneType"):
        applied(pictures.encoded(pictures.plain(10, 10), Format.PNG), nothing)


def test_frames_of_different_sizes_are_refused() -> None:
    heights = iter((10, 20, 30))
    body = pictures.animation(Format.GIF, 80, 60, 3)
    with pytest.raises(ValueError, match="one size, made 80x10, 80x20, 80x30"):
        applied(body, lambda frame: frame.crop(0, 0, 80, next(heights)), OutputParameters(animation=Animation.ALL))


def test_an_operation_on_a_padded_picture_may_not_change_its_size() -> None:
    body = pictures.encoded(pictures.plain(100, 50), Format.PNG)
    square = ResizeParameters.model_validate({"width": 40, "height": 40, "fit": "contain"})
    with pytest.raises(ValueError, match="40x20 px have a place on a canvas of 40x40 px, 20x20 px have none"):
        applied(body, lambda frame: frame.crop(0, 0, 20, 20), square)
    assert applied(body, grey, square).height == 40
