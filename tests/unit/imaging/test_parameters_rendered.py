"""Turning, trimming, blurring, overlays and placeholders, compared with Pillow and numpy."""

from __future__ import annotations

import base64
import io
from typing import Any

import blurhash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from thumbhash import rgba_to_thumb_hash

from darkroom.contract.errors import (
    ImageCorruptError,
    ImageTooManyPixelsError,
    InputTooLargeError,
    InputUnsupportedError,
)
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Flip, Format, Placeholder, Rotation
from darkroom.imaging import Rendition, checked_plan, probe, render
from darkroom.imaging.blur import blurred
from darkroom.imaging.photograph import photograph
from darkroom.imaging.placeholder import placeholder_of
from darkroom.imaging.thumbhash import thumbhash
from darkroom.imaging.turning import turned_orientation
from darkroom.imaging.vips import library
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, YELLOW
from tests.unit.imaging.pixels import close, frames_of, opened, psnr_db, rgb_at, samples

LIMITS = Limits()
WHITE = (255, 255, 255)


def resized(body: bytes, *, stamp: bytes | None = None, **fields: Any) -> Rendition:
    return render(body, parse_parameters(ResizeParameters, fields), LIMITS, overlay=stamp)


def cropped(body: bytes, **fields: Any) -> Rendition:
    return render(body, parse_parameters(CropParameters, fields), LIMITS)


def png(image: Any) -> bytes:
    return pictures.encoded(image, Format.PNG)


def by_pillow(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, format, **options)
    return body.getvalue()


# --- rotate and flip -------------------------------------------------------------------------------------------------


def turned_by_pillow(image: Image.Image, rotate: int, flip: Flip | None) -> Image.Image:
    turned = image.rotate(-rotate, expand=True)
    if flip is None:
        return turned
    return ImageOps.mirror(turned) if flip is Flip.HORIZONTAL else ImageOps.flip(turned)


@pytest.mark.parametrize("flip", [None, *Flip])
@pytest.mark.parametrize("rotate", list(Rotation))
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_what_pillow_does_to_the_upright_picture(
    orientation: int, rotate: Rotation, flip: Flip | None
) -> None:
    upright = pictures.quarters(9, 6)
    body = pictures.oriented(upright, orientation, Format.PNG)
    fields: dict[str, Any] = {} if flip is None else {"flip": flip.value}
    result = resized(body, width=100, rotate=int(rotate), **fields)
    expected = turned_by_pillow(opened(png(upright)).convert("RGB"), rotate, flip)
    assert (result.width, result.height) == expected.size
    assert (samples(result.body) == np.asarray(expected, dtype=np.float64)).all()


def test_each_turn_has_its_own_orientation() -> None:
    for orientation in range(1, 9):
        reached = {turned_orientation(orientation, rotate, flip) for rotate in Rotation for flip in (None, *Flip)}
        assert reached == set(range(1, 9))


def test_coordinates_and_sizes_are_those_of_the_turned_picture() -> None:
    body = png(pictures.quarters(120, 80))
    part = cropped(body, x=0, y=0, width=40, height=60, rotate=90)
    assert close(rgb_at(part.body, 0.5, 0.5), BLUE)
    result = resized(body, width=40, rotate=270)
    assert (result.width, result.height) == (40, 60)
    assert close(rgb_at(result.body, 0.2, 0.2), GREEN)
    plan = checked_plan(probe(body, LIMITS), parse_parameters(ResizeParameters, {"width": 40, "rotate": 270}), LIMITS)
    assert (plan.output.width, plan.output.height) == (40, 60)


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_each_frame_of_an_animation_is_turned(format: Format) -> None:
    result = resized(pictures.animation(format, 80, 60), width=60, rotate=90, animation="all")
    assert (result.width, result.height, result.frames) == (60, 80, 5)
    for frame, colour in zip(frames_of(result.body), pictures.FRAME_COLOURS, strict=True):
        # The stripe of the left edge is at the top now.
        stripe, inside = frame.getpixel((30, 3)), frame.getpixel((30, 60))
        assert isinstance(stripe, tuple)
        assert isinstance(inside, tuple)
        assert close((int(stripe[0]), int(stripe[1]), int(stripe[2])), WHITE, 20)
        assert close((int(inside[0]), int(inside[1]), int(inside[2])), colour, 20)


# --- trim ------------------------------------------------------------------------------------------------------------


def bordered(width: int = 120, height: int = 90, *, colour: tuple[int, ...] = WHITE, noise: int = 0) -> Image.Image:
    image = Image.new("RGB", (width, height), colour)
    if noise:
        random = np.random.default_rng(1)
        changed = np.asarray(image, dtype=np.int16) + random.integers(-noise, noise + 1, (height, width, 1))
        image = Image.fromarray(np.clip(changed, 0, 255).astype(np.uint8))
        image.putpixel((0, 0), colour)
    inside = opened(png(pictures.quarters(60, 40))).convert("RGB")
    image.paste(inside, (20, 30))
    return image


@pytest.mark.parametrize("colour", [WHITE, (0, 0, 0), (90, 140, 200)])
@pytest.mark.parametrize("noise", [0, 5])
def test_a_border_is_cut_off_to_the_pixel(colour: tuple[int, ...], noise: int) -> None:
    result = resized(by_pillow(bordered(colour=colour, noise=noise)), width=200, trim=True)
    assert (result.width, result.height) == (60, 40)
    assert (samples(result.body) == samples(png(pictures.quarters(60, 40)))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", [Format.PNG, Format.WEBP])
def test_the_border_of_a_picture_stored_on_its_side_is_found(orientation: int, format: Format) -> None:
    image = library().Image.new_from_array(np.asarray(bordered())).copy(interpretation="srgb")
    result = resized(pictures.oriented(image, orientation, format), width=30, rotate=90, trim=True, format="png")
    assert (result.width, result.height) == (30, 45)
    for place, colour in (((0.2, 0.2), BLUE), ((0.8, 0.2), RED), ((0.2, 0.8), YELLOW), ((0.8, 0.8), GREEN)):
        assert close(rgb_at(result.body, *place), colour, 14)
    for edge in ((0.5, 0.0), (0.5, 0.999), (0.0, 0.25), (0.999, 0.25)):
        assert not close(rgb_at(result.body, *edge), WHITE, 60)


def test_a_transparent_border_is_cut_off_whatever_its_hidden_colours() -> None:
    random = np.random.default_rng(2)
    pixels = random.integers(0, 256, (80, 100, 4)).astype(np.uint8)
    pixels[..., 3] = 0
    pixels[20:50, 10:70] = (200, 30, 30, 255)
    result = resized(by_pillow(Image.fromarray(pixels)), width=300, trim=True)
    assert (result.width, result.height) == (60, 30)
    assert (np.asarray(opened(result.body).convert("RGBA")) == (200, 30, 30, 255)).all()


def test_a_picture_without_a_border_or_of_one_colour_stays_whole() -> None:
    for image in (pictures.quarters(60, 40), pictures.plain(60, 40)):
        result = resized(png(image), width=100, trim=True)
        assert (result.width, result.height) == (60, 40)


def test_the_border_of_an_animation_is_what_all_frames_have_around_them() -> None:
    frames = []
    for left in (10, 30, 50):
        frame = Image.new("RGB", (100, 60), WHITE)
        frame.paste(RED, (left, 20, left + 20, 40))
        frames.append(frame)
    body = by_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:])
    result = resized(body, width=300, trim=True, animation="all")
    assert (result.width, result.height, result.frames) == (60, 20, 3)
    assert (resized(body, width=300, trim=True).width, resized(body, width=300, trim=True).height) == (20, 20)


def test_the_output_of_a_trimmed_picture_is_checked_when_its_size_is_known() -> None:
    body = by_pillow(bordered(colour=WHITE).resize((2, 400)).resize((400, 4)))
    parameters = parse_parameters(ResizeParameters, {"height": 8000, "enlarge": True, "trim": True})
    checked_plan(probe(body, LIMITS), parameters, LIMITS)
    with pytest.raises(ImageTooManyPixelsError, match="limit is"):
        render(body, parameters, LIMITS)


def test_a_trimmed_picture_that_is_damaged_is_corrupt() -> None:
    body = bytearray(pictures.photo(Format.PNG, 200, 150))
    body[len(body) // 2] ^= 0xFF
    with pytest.raises(ImageCorruptError):
        resized(bytes(body), width=50, trim=True)


# --- blur ------------------------------------------------------------------------------------------------------------


def gaussian(pixels: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur exactly, with the edges continued."""
    reach = int(4 * sigma) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        margins = [(reach, reach) if at == axis else (0, 0) for at in range(pixels.ndim)]
        padded = np.pad(pixels, margins, mode="edge")
        pixels = np.apply_along_axis(lambda line: np.convolve(line, weights, mode="valid"), axis, padded)
    return pixels


@pytest.mark.parametrize("sigma", [0.3, 1, 2.5, 6, 8, 15, 40, 100])
def test_a_blur_is_a_gaussian(sigma: float) -> None:
    body = pictures.photo(Format.PNG, 240, 160)
    seen = samples(resized(body, width=240, blur=sigma).body)
    assert psnr_db(seen, gaussian(samples(body), sigma)) > 36


def test_a_blur_does_not_bleed_invisible_colours() -> None:
    result = opened(resized(png(pictures.disc_with_alpha(200, 200)), width=200, blur=8).body)
    for x in range(0, 200, 5):
        pixel = result.getpixel((x, 100))
        assert isinstance(pixel, tuple)
        red, green, _, alpha = pixel
        if alpha > 20:
            assert red > 150 > green


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (9, 9), (17, 300)])
@pytest.mark.parametrize("sigma", [0.3, 7, 100])
def test_a_picture_of_any_size_can_be_blurred(size: tuple[int, int], sigma: float) -> None:
    image = pictures.plain(*size)
    done = blurred(image, sigma)
    assert (done.width, done.height) == size
    assert abs(done.avg() - image.avg()) < 1


# --- overlay ---------------------------------------------------------------------------------------------------------


def mark(width: int = 40, height: int = 20, *, alpha: int = 255) -> bytes:
    return by_pillow(Image.new("RGBA", (width, height), (0, 200, 0, alpha)))


def overlay(**fields: Any) -> dict[str, Any]:
    return {"overlay": {"storage_key": "uploads/mark", **fields}}


@pytest.mark.parametrize(("alpha", "opacity"), [(255, 1.0), (128, 1.0), (255, 0.5), (128, 0.5), (255, 0.0)])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_an_overlay_is_composited_as_pillow_does(alpha: int, opacity: float, has_alpha: bool) -> None:
    base = opened(png(pictures.disc_with_alpha(160, 120) if has_alpha else pictures.quarters(160, 120)))
    body = by_pillow(base)
    result = resized(body, width=160, stamp=mark(alpha=alpha), **overlay(scale=0.5, opacity=opacity))
    expected = base.convert("RGBA")
    stamp = Image.new("RGBA", (80, 40), (0, 200, 0, int(alpha * opacity)))
    expected.alpha_composite(stamp, (80, 80))
    assert opened(result.body).mode == base.mode
    seen, wanted = (np.asarray(one.convert("RGBA"), dtype=np.int16) for one in (opened(result.body), expected))
    visible = wanted[..., 3] > 0
    assert np.abs(seen - wanted)[visible].max() <= 3


@pytest.mark.parametrize(
    ("gravity", "place"),
    [
        ("northwest", (0, 0)),
        ("southeast", (120, 100)),
        ("centre", (60, 50)),
        ({"x": 0.5, "y": 0}, (60, 0)),
        ({"x": 1, "y": 1}, (120, 100)),
    ],
)
def test_an_overlay_lies_where_its_gravity_says(gravity: Any, place: tuple[int, int]) -> None:
    result = resized(png(pictures.plain(160, 120)), width=160, stamp=mark(), **overlay(gravity=gravity))
    pixels = samples(result.body)
    rows, columns = np.nonzero((pixels == (0, 200, 0)).all(axis=2))
    assert ((columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)) == (place, (place[0] + 40, place[1] + 20))


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
def test_any_picture_can_be_an_overlay_on_any_other(format: Format) -> None:
    stamp = pictures.encoded(pictures.plain(30, 30, (0, 200, 0)), format)
    for base in (pictures.plain(160, 120), pictures.grey(pictures.plain(160, 120)), pictures.disc_with_alpha(160, 120)):
        result = resized(png(base), width=160, stamp=stamp, **overlay(scale=1, gravity="west"))
        assert close(rgb_at(result.body, 0.2, 0.5), (0, 200, 0), 6)
        assert (result.width, result.height) == (160, 120)
    animated = resized(pictures.animation(Format.GIF), width=80, animation="all", stamp=stamp, **overlay())
    assert animated.frames == 5
    for frame in frames_of(animated.body):
        seen = frame.getpixel((75, 55))
        assert isinstance(seen, tuple)
        assert close((int(seen[0]), int(seen[1]), int(seen[2])), (0, 200, 0), 12)


def test_an_overlay_stored_on_its_side_is_laid_upright() -> None:
    stamp = pictures.oriented(pictures.quarters(60, 40), 6, Format.PNG)
    result = resized(png(pictures.plain(120, 80, (0, 0, 0))), width=120, stamp=stamp, **overlay(scale=0.5))
    assert close(rgb_at(result.body, 0.6, 0.6), RED, 8)
    assert close(rgb_at(result.body, 0.95, 0.6), GREEN, 8)


@pytest.mark.parametrize(
    ("stamp", "limits", "error"),
    [
        (b"no picture", {}, InputUnsupportedError),
        (mark(), {"max_overlay_pixels": 799}, ImageTooManyPixelsError),
        (mark(), {"max_overlay_bytes": 50}, InputTooLargeError),
        (pictures.jpeg_that_claims(16_000, 16_000), {}, ImageTooManyPixelsError),
    ],
)
def test_an_overlay_has_limits_and_its_error_names_it(
    stamp: bytes, limits: dict[str, Any], error: type[Exception]
) -> None:
    parameters = parse_parameters(ResizeParameters, {"width": 60, **overlay()})
    with pytest.raises(error, match="the overlay: "):
        render(png(pictures.plain(120, 80)), parameters, Limits(**limits), overlay=stamp)


# --- placeholders ----------------------------------------------------------------------------------------------------


def thumbhash_decoded(hashed: bytes, width: int, height: int) -> NDArray[np.float64]:
    """Decode by the description of the format; the package's own decoder shows one colour only."""
    first, second = int.from_bytes(hashed[:3], "little"), int.from_bytes(hashed[3:5], "little")
    has_alpha, is_landscape = bool(first >> 23), bool(second >> 15)
    long, short = 5 if has_alpha else 7, second & 7
    across, down = (long, short) if is_landscape else (short, long)
    halves = [half for byte in hashed[6 if has_alpha else 5 :] for half in (byte & 15, byte >> 4)]
    values = iter(half / 7.5 - 1 for half in halves)

    def channel(average: float, scale: float, across: int, down: int) -> NDArray[np.float64]:
        pixels = np.full((height, width), average)
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        for row in range(down):
            for column in range(across):
                if column * down < across * (down - row) and (row or column):
                    waves = np.outer(np.cos(np.pi / height * row * y), np.cos(np.pi / width * column * x))
                    pixels = pixels + 2 * scale * next(values) * waves
        return pixels

    lightness = channel((first & 63) / 63, (first >> 18 & 31) / 31, max(3, across), max(3, down))
    yellow = channel((first >> 6 & 63) / 31.5 - 1, 1.25 * (second >> 3 & 63) / 63, 3, 3)
    red_green = channel((first >> 12 & 63) / 31.5 - 1, 1.25 * (second >> 9 & 63) / 63, 3, 3)
    opaque = np.ones((height, width))
    alpha = channel((hashed[5] & 15) / 15, (hashed[5] >> 4) / 15, 5, 5) if has_alpha else opaque
    blue = lightness - 2 / 3 * yellow
    red = (3 * lightness - blue + red_green) / 2
    return np.clip(np.stack([red, red - red_green, blue, alpha], axis=2), 0, 1) * 255


def test_a_thumbhash_decodes_to_the_picture() -> None:
    body = pictures.photo(Format.PNG, 300, 200)
    text = resized(body, width=300, placeholder="thumbhash").placeholder
    assert text is not None
    seen = thumbhash_decoded(base64.b64decode(text), 32, 21)[..., :3]
    reference = opened(body).convert("RGB").resize((32, 21), Image.Resampling.BOX)
    assert psnr_db(seen, np.asarray(reference, dtype=np.float64)) > 15
    assert len(base64.b64decode(text)) < 30


@pytest.mark.parametrize("size", [(16, 16), (24, 15), (15, 24), (1, 1), (32, 1), (5, 31)])
def test_a_thumbhash_of_an_opaque_picture_is_that_of_another_encoder(size: tuple[int, int]) -> None:
    image = photograph(*size)
    rgba = image.addalpha().copy(interpretation="srgb").write_to_memory()
    assert list(thumbhash(*size, bytes(rgba))) == rgba_to_thumb_hash(*size, list(bytes(rgba)))


def test_a_thumbhash_knows_what_is_transparent() -> None:
    hashed = thumbhash(32, 32, bytes(pictures.disc_with_alpha(32, 32).write_to_memory()))
    seen = thumbhash_decoded(hashed, 32, 32)
    assert seen[0, 0, 3] < 100
    assert seen[16, 16, 3] > 170
    assert np.abs(seen[16, 16, :3] - RED).max() < 20


def test_a_blurhash_decodes_to_the_picture() -> None:
    body = pictures.photo(Format.PNG, 300, 200)
    text = resized(body, width=300, placeholder="blurhash").placeholder
    assert text is not None
    assert len(text) == 28
    seen = np.asarray(blurhash.decode(text, 32, 21), dtype=np.float64)
    reference = opened(body).convert("RGB").resize((32, 21), Image.Resampling.BOX)
    directly = blurhash.encode(np.asarray(opened(body).convert("RGB")), components_x=4, components_y=3)
    best = psnr_db(
        np.asarray(blurhash.decode(directly, 32, 21), dtype=np.float64), np.asarray(reference, dtype=np.float64)
    )
    assert psnr_db(seen, np.asarray(reference, dtype=np.float64)) > best - 0.3
    tall = resized(body, width=200, rotate=90, placeholder="blurhash").placeholder
    assert tall is not None
    assert blurhash.components(tall) == (3, 4)


def test_a_colour_is_the_average_of_what_is_visible() -> None:
    assert resized(png(pictures.plain(30, 20)), width=30, placeholder="colour").placeholder == "#c81e1e"
    disc = resized(png(pictures.disc_with_alpha(200, 200)), width=200, placeholder="colour").placeholder
    assert disc is not None
    assert close((int(disc[1:3], 16), int(disc[3:5], 16), int(disc[5:7], 16)), RED, 2)
    halves = pictures.plain(10, 20, (0, 0, 0)).join(pictures.plain(10, 20, WHITE), "horizontal")
    assert resized(png(halves), width=20, placeholder="colour").placeholder == "#808080"


@pytest.mark.parametrize("kind", list(Placeholder))
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 32)])
def test_every_picture_has_every_placeholder(kind: Placeholder, size: tuple[int, int]) -> None:
    plain = pictures.plain(*size)
    hidden = plain.bandjoin(0).copy(interpretation="srgb")
    for image in (plain, pictures.grey(plain), hidden):
        assert placeholder_of(image, kind)
    assert resized(png(plain), width=5).placeholder is None


def test_the_placeholder_of_an_animation_is_that_of_its_first_frame() -> None:
    body = pictures.animation(Format.GIF)
    first = resized(body, width=40, placeholder="colour").placeholder
    assert resized(body, width=40, animation="all", placeholder="colour").placeholder == first


def test_a_size_that_is_too_large_on_the_free_side_is_refused_with_a_hint() -> None:
    body = pictures.jpeg_that_claims(1080, 12_000)
    with pytest.raises(ImageTooManyPixelsError, match=r"800x8889 px.*8192 px a side; give a height too"):
        checked_plan(probe(body, LIMITS), parse_parameters(ResizeParameters, {"width": 800}), LIMITS)
    with pytest.raises(ImageTooManyPixelsError, match=r"a side$"):
        checked_plan(
            probe(body, LIMITS),
            parse_parameters(ResizeParameters, {"width": 800, "height": 8000, "fit": "outside", "enlarge": True}),
            LIMITS,
        )
