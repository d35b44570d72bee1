"""Every parameter of the contract, seen in the pixels of the result by another decoder than ours."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from darkroom.contract.errors import CropOutOfBoundsError, ImageTooManyPixelsError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Rendition, Shrink, checked_plan, output_format, probe, render
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import load, save
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, YELLOW
from tests.unit.imaging.pixels import close, frames_of, opened, psnr_db, rgb_at, samples

LIMITS = Limits()
FORMATS = [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF]
PILLOW_NAMES = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "gif": "GIF"}
WHITE = (255, 255, 255)


def resize(**fields: Any) -> OutputParameters:
    return parse_parameters(ResizeParameters, fields)


def crop(**fields: Any) -> OutputParameters:
    return parse_parameters(CropParameters, fields)


def quarters_png(width: int = 120, height: int = 80) -> bytes:
    return pictures.encoded(pictures.quarters(width, height), Format.PNG)


def rendered(body: bytes, parameters: OutputParameters, **options: Any) -> Rendition:
    """Every result has exactly the size and type that it declares."""
    rendition = render(body, parameters, LIMITS, **options)
    picture = opened(rendition.body)
    assert picture.size == (rendition.width, rendition.height)
    assert picture.format == PILLOW_NAMES[rendition.format]
    assert (rendition.content_type, rendition.format) == (f"image/{rendition.format}", rendition.format)
    announced = output_format(probe(body, LIMITS), parameters)
    assert (announced.content_type, announced.extension) == (rendition.content_type, rendition.extension)
    return rendition


# --- resize ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "size"),
    [("inside", (60, 40)), ("cover", (60, 60)), ("contain", (60, 60)), ("fill", (60, 60)), ("outside", (90, 60))],
)
@pytest.mark.parametrize("format", FORMATS)
def test_each_fit_has_its_size_in_each_format(format: Format, fit: str, size: tuple[int, int]) -> None:
    body = pictures.encoded(pictures.quarters(120, 80), format)
    rendition = rendered(body, resize(width=60, height=60, fit=fit))
    assert (rendition.width, rendition.height) == size
    assert rendition.format is format
    inner = {"contain": (0.25, 0.35)}.get(fit, (0.25, 0.25))
    assert close(rgb_at(rendition.body, *inner), RED)
    assert close(rgb_at(rendition.body, 0.75, 1 - inner[1]), YELLOW)


def test_cover_keeps_what_its_gravity_says() -> None:
    body = quarters_png()
    west = rendered(body, resize(width=20, height=40, fit="cover", gravity="west")).body
    east = rendered(body, resize(width=20, height=40, fit="cover", gravity="east")).body
    focal = rendered(body, resize(width=20, height=40, fit="cover", gravity={"x": 1, "y": 0})).body
    assert close(rgb_at(west, 0.5, 0.2), RED)
    assert close(rgb_at(east, 0.5, 0.2), GREEN)
    assert close(rgb_at(focal, 0.5, 0.2), GREEN)


def test_contain_pads_with_the_background_in_exact_srgb() -> None:
    body = quarters_png()
    blue = rendered(body, resize(width=60, height=60, fit="contain", background="#1234fe", format="png"))
    assert rgb_at(blue.body, 0.5, 0.02) == (0x12, 0x34, 0xFE)
    assert opened(blue.body).mode == "RGB"


def test_contain_pads_transparently_where_the_format_has_alpha_else_in_white() -> None:
    body = quarters_png()
    transparent = opened(rendered(body, resize(width=60, height=60, fit="contain")).body)
    assert transparent.mode == "RGBA"
    assert transparent.getpixel((30, 1)) == (0, 0, 0, 0)
    assert transparent.getpixel((10, 20)) == (*RED, 255)
    white = rendered(body, resize(width=60, height=60, fit="contain", format="jpeg")).body
    assert close(rgb_at(white, 0.5, 0.02), WHITE, 10)


def test_contain_of_a_grey_picture_takes_a_coloured_background() -> None:
    body = pictures.encoded(pictures.grey(pictures.quarters(120, 80)), Format.PNG)
    picture = rendered(body, resize(width=60, height=60, fit="contain", background="#ff0000")).body
    assert rgb_at(picture, 0.5, 0.02) == (255, 0, 0)
    assert len(set(rgb_at(picture, 0.2, 0.4))) == 1


def test_a_wide_gamut_picture_gets_the_background_that_was_asked_for() -> None:
    body = pictures.wide_gamut(pictures.quarters(120, 80), Format.PNG)
    picture = rendered(body, resize(width=60, height=60, fit="contain", background="#ff0000")).body
    assert rgb_at(picture, 0.5, 0.02) == (255, 0, 0)


def test_a_picture_is_enlarged_only_when_asked() -> None:
    body = quarters_png()
    assert rendered(body, resize(width=240)).width == 120
    large = rendered(body, resize(width=240, enlarge=True))
    assert (large.width, large.height) == (240, 160)
    assert close(rgb_at(large.body, 0.75, 0.75), YELLOW)


def test_dpr_multiplies_and_ends_where_the_pixels_do() -> None:
    body = quarters_png()
    assert rendered(body, resize(width=30, dpr=2)).width == 60
    assert rendered(body, resize(width=100, dpr=4)).width == 120


@pytest.mark.parametrize("source", [(1, 1), (1, 150), (150, 1), (3, 2)])
@pytest.mark.parametrize("fit", ["inside", "cover", "contain", "fill", "outside"])
@pytest.mark.parametrize("enlarge", [False, True])
def test_pictures_and_results_of_one_pixel_are_pictures(source: tuple[int, int], fit: str, enlarge: bool) -> None:
    body = pictures.encoded(pictures.plain(*source), Format.PNG)
    for side in (1, 50):
        picture = rendered(body, resize(width=side, height=side, fit=fit, enlarge=enlarge, background="#c81e1e"))
        assert close(rgb_at(picture.body, 0.5, 0.5), RED)


def test_an_extreme_strip_can_be_enlarged_to_cover_the_largest_output() -> None:
    """Scaled as a whole it would be 134 million pixels wide, more than libvips supports."""
    body = pictures.encoded(pictures.plain(16_383, 1), Format.PNG)
    picture = rendered(body, resize(width=4000, height=4000, fit="cover", enlarge=True, format="jpeg"))
    assert close(rgb_at(picture.body, 0.9, 0.1), RED)


# --- crop ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_crop_takes_the_pixels_at_its_place(format: Format) -> None:
    body = pictures.encoded(pictures.quarters(120, 80), format)
    for x, y, colour in ((0, 0, RED), (70, 0, GREEN), (0, 50, BLUE), (70, 50, YELLOW)):
        picture = rendered(body, crop(x=x, y=y, width=40, height=25))
        assert (picture.width, picture.height) == (40, 25)
        assert close(rgb_at(picture.body, 0.5, 0.5), colour)


def test_a_crop_is_exact_to_the_pixel() -> None:
    body = quarters_png(120, 80)
    picture = opened(rendered(body, crop(x=59, y=39, width=2, height=2)).body).convert("RGB")
    assert [picture.getpixel(place) for place in ((0, 0), (1, 0), (0, 1), (1, 1))] == [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_crop_coordinates_are_those_of_the_upright_picture(orientation: int) -> None:
    body = pictures.oriented(pictures.quarters(120, 80), orientation, Format.PNG)
    picture = opened(rendered(body, crop(x=59, y=39, width=2, height=2, format="png")).body).convert("RGB")
    assert [picture.getpixel(place) for place in ((0, 0), (1, 0), (0, 1), (1, 1))] == [RED, GREEN, BLUE, YELLOW]


def test_an_aspect_with_a_width_is_scaled_to_it() -> None:
    picture = rendered(quarters_png(), crop(aspect="1:1", width=40, gravity="east"))
    assert (picture.width, picture.height) == (40, 40)
    assert close(rgb_at(picture.body, 0.9, 0.1), GREEN)


def test_bounds_clamp_cuts_the_area_to_the_picture() -> None:
    picture = rendered(quarters_png(), crop(x=100, y=70, width=50, height=50, bounds="clamp"))
    assert (picture.width, picture.height) == (20, 10)
    assert close(rgb_at(picture.body, 0.5, 0.5), YELLOW)


@pytest.mark.parametrize("gravity", ["attention", "entropy"])
@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG])
def test_salient_gravities_find_the_busy_part_in_resize_and_crop(gravity: str, format: Format) -> None:
    """A colourful photograph in one corner of a plain grey wall."""
    wall = pictures.plain(900, 600, (128, 128, 128))
    busy = photograph(180, 180)
    body = pictures.encoded(wall.insert(busy, 700, 20), format)
    for parameters in (
        crop(width=300, height=300, gravity=gravity),
        crop(aspect="1:1", width=200, gravity=gravity),
        resize(width=200, height=200, fit="cover", gravity=gravity),
    ):
        picture = samples(rendered(body, parameters).body)
        assert picture.std() > 10, parameters


def test_a_salient_crop_of_a_turned_picture_is_the_same_part() -> None:
    wall = pictures.plain(900, 600, (128, 128, 128)).insert(photograph(180, 180), 700, 20)
    upright = rendered(pictures.encoded(wall, Format.PNG), crop(width=300, height=300, gravity="attention"))
    for orientation in (3, 6):
        turned = pictures.oriented(wall, orientation, Format.PNG)
        again = rendered(turned, crop(width=300, height=300, gravity="attention"))
        assert samples(again.body).std() > 20
    assert samples(upright.body).std() > 20


# --- orientation, alpha, colour --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_out_upright(format: Format, orientation: int) -> None:
    body = pictures.oriented(pictures.quarters(120, 80), orientation, format)
    for parameters in (resize(width=60), resize(width=60, height=40, fit="cover", gravity="west", metadata="all")):
        picture = rendered(body, parameters)
        assert (picture.width, picture.height) == (60, 40)
        assert opened(picture.body).getexif().get(0x0112, 1) == 1
        seen = [rgb_at(picture.body, *place) for place in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))]
        assert all(close(*pair) for pair in zip(seen, (RED, GREEN, BLUE, YELLOW), strict=True))


@pytest.mark.parametrize("format", [Format.PNG, Format.WEBP, Format.AVIF])
def test_alpha_is_kept_and_invisible_colours_do_not_bleed(format: Format) -> None:
    body = pictures.encoded(pictures.disc_with_alpha(400, 400), Format.PNG)
    picture = opened(rendered(body, resize(width=100, format=format, quality=95)).body)
    assert picture.mode == "RGBA"
    assert picture.getpixel((1, 1))[3] < 8  # type: ignore[index]
    for x in range(100):
        red, green, _, alpha = picture.getpixel((x, 50))  # type: ignore[misc]
        if alpha > 100:
            assert red > 150 > green


def test_lost_alpha_is_flattened_on_the_background() -> None:
    body = pictures.encoded(pictures.disc_with_alpha(400, 400), Format.PNG)
    white = rendered(body, resize(width=100, format="jpeg")).body
    blue = rendered(body, resize(width=100, format="jpeg", background="#0000ff")).body
    halved = rendered(body, resize(width=100, format="jpeg", background="#0000ff80")).body
    assert close(rgb_at(white, 0.02, 0.02), WHITE, 3)
    assert close(rgb_at(blue, 0.02, 0.02), (0, 0, 255), 3)
    assert close(rgb_at(halved, 0.02, 0.02), (127, 127, 255), 3)
    assert close(rgb_at(blue, 0.5, 0.5), RED)


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
def test_wide_gamut_comes_out_as_srgb_without_a_profile(format: Format) -> None:
    body = pictures.wide_gamut(pictures.quarters(120, 80), format)
    picture = rendered(body, resize(width=60, format="png"))
    assert "icc_profile" not in opened(picture.body).info
    assert close(rgb_at(picture.body, 0.2, 0.2), RED, 6)
    assert close(rgb_at(picture.body, 0.8, 0.2), GREEN, 6)


@pytest.mark.parametrize("with_profile", [True, False])
def test_cmyk_comes_out_as_srgb(with_profile: bool) -> None:
    body = pictures.cmyk_jpeg(pictures.quarters(120, 80), with_profile=with_profile)
    picture = rendered(body, resize(width=60))
    assert opened(picture.body).mode == "RGB"
    # CMYK cannot reproduce all of these colours exactly.
    assert close(rgb_at(picture.body, 0.2, 0.2), RED, 30)
    assert close(rgb_at(picture.body, 0.8, 0.8), YELLOW, 40)


def test_a_photograph_that_went_through_cmyk_looks_like_itself() -> None:
    original = photograph(480, 320, seed=3)
    seen = samples(rendered(pictures.cmyk_jpeg(original, with_profile=True), resize(width=480, format="png")).body)
    assert psnr_db(seen, samples(pictures.encoded(original, Format.PNG))) > 27


def test_sixteen_bits_come_out_as_eight() -> None:
    picture = rendered(pictures.sixteen_bit_png(pictures.quarters(120, 80)), resize(width=60))
    assert probe(picture.body, LIMITS).bits == 8
    assert close(rgb_at(picture.body, 0.2, 0.2), RED, 2)


@pytest.mark.parametrize("format", FORMATS)
def test_grey_stays_grey(format: Format) -> None:
    body = pictures.encoded(pictures.grey(pictures.quarters(120, 80)), Format.PNG)
    red, green, blue = rgb_at(rendered(body, resize(width=60, format=format)).body, 0.2, 0.2)
    assert max(red, green, blue) - min(red, green, blue) <= 3


@pytest.mark.parametrize("space", [b"CMYK", b"GRAY", b"RGB "])
def test_a_broken_profile_or_one_for_another_kind_of_picture_is_ignored(space: bytes) -> None:
    body = pictures.with_broken_profile(pictures.quarters(120, 80), space)
    assert probe(body, LIMITS).has_icc
    assert close(rgb_at(rendered(body, resize(width=60, format="png")).body, 0.2, 0.2), RED, 6)


# --- output ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_format_becomes_every_other(source: Format, target: Format) -> None:
    body = pictures.encoded(pictures.quarters(240, 160), source)
    picture = rendered(body, resize(width=120, format=target))
    assert picture.format is target
    assert close(rgb_at(picture.body, 0.2, 0.2), RED)


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_quality_changes_the_size_and_the_likeness(format: Format) -> None:
    body = pictures.photo(Format.PNG, 320, 240)
    low, high = (rendered(body, resize(width=320, format=format, quality=quality)).body for quality in (20, 90))
    original = samples(body)
    assert len(low) < len(high)
    assert psnr_db(samples(low), original) < psnr_db(samples(high), original)


@pytest.mark.parametrize("format", [Format.WEBP, Format.PNG, Format.AVIF, Format.GIF])
def test_every_effort_is_taken(format: Format) -> None:
    body = pictures.photo(Format.PNG, 64, 48)
    for effort in range(10):
        rendered(body, resize(width=32, format=format, effort=effort))


def kinds_of_pixels() -> dict[str, bytes]:
    """Pictures in other pixel formats than eight bits of red, green and blue."""
    image, disc = pictures.quarters(60, 40), pictures.disc_with_alpha(60, 40)
    return {
        "one pixel": pictures.encoded(pictures.plain(1, 1), Format.PNG),
        "grey with alpha": by_pillow("LA"),
        "palette": by_pillow("P"),
        "palette with a transparent colour": by_pillow("P", transparency=0),
        "one bit": by_pillow("1"),
        "grey of 16 bits": by_pillow("I;16"),
        "16 bits with alpha": save(Format.PNG, disc.colourspace("rgb16"), bitdepth=16),
        "avif of 10 bits": save(Format.AVIF, image.colourspace("rgb16"), compression="av1", bitdepth=10),
        "avif with alpha": pictures.encoded(disc, Format.AVIF),
        "webp with alpha": pictures.encoded(disc, Format.WEBP),
        "gif with alpha": pictures.encoded(disc, Format.GIF),
        "cmyk": pictures.cmyk_jpeg(image, with_profile=False),
        "jpeg with restarts": pictures.encoded(image, Format.JPEG, restart_interval=2),
    }


def by_pillow(mode: str, **options: Any) -> bytes:
    body = io.BytesIO()
    Image.new(mode, (60, 40)).save(body, "PNG", **options)
    return body.getvalue()


@pytest.mark.parametrize("kind", sorted(kinds_of_pixels()))
def test_every_kind_of_pixels_is_taken_by_every_format(kind: str) -> None:
    body = kinds_of_pixels()[kind]
    for format in FORMATS:
        rendered(body, resize(width=30, format=format, sharpen=1))
        rendered(body, resize(width=30, height=30, fit="contain", background="#ff000080", format=format))
        rendered(body, resize(width=90, height=90, fit="cover", gravity="entropy", enlarge=True, format=format))


def test_a_gif_of_few_colours_gets_the_mixed_ones_that_scaling_makes() -> None:
    """Its own palette of four would leave jagged edges."""
    body = pictures.encoded(pictures.quarters(301, 201), Format.GIF)
    picture = opened(rendered(body, resize(width=100)).body).convert("RGB")
    colours = picture.getcolors()
    assert colours is not None
    assert len(colours) > 4


def test_a_padded_gif_has_exactly_the_background_that_was_asked_for() -> None:
    body = pictures.photo(Format.GIF, 320, 240)
    picture = rendered(body, resize(width=100, height=100, fit="contain", background="#ff00ff"))
    assert rgb_at(picture.body, 0.5, 0.01) == (255, 0, 255)


def test_a_gif_resized_with_its_own_palette_still_looks_like_it() -> None:
    body = pictures.photo(Format.GIF, 640, 480)
    seen = samples(rendered(body, resize(width=160)).body)
    reference = opened(body).convert("RGB").resize((160, 120), Image.Resampling.LANCZOS)
    assert psnr_db(seen, np.asarray(reference, dtype=np.float64)) > 32


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG])
def test_progressive_is_off_by_default_and_on_when_asked(format: Format) -> None:
    body = pictures.photo(Format.PNG, 64, 48)
    plain = rendered(body, resize(width=32, format=format)).body
    progressive = rendered(body, resize(width=32, format=format, progressive=True)).body
    assert not probe(plain, LIMITS).progressive
    assert probe(progressive, LIMITS).progressive


def test_sharpening_makes_edges_steeper() -> None:
    body = pictures.photo(Format.PNG, 640, 480)
    plain = samples(rendered(body, resize(width=200)).body)
    sharp = samples(rendered(body, resize(width=200, sharpen=1.5)).body)
    assert abs(sharp[:, 1:] - sharp[:, :-1]).mean() > 1.1 * abs(plain[:, 1:] - plain[:, :-1]).mean()


# --- metadata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("target", FORMATS)
def test_no_metadata_survives_unless_asked(source: Format, target: Format) -> None:
    body = pictures.with_metadata(pictures.quarters(60, 40), source)
    assert opened(body).getexif().get_ifd(0x8825), "the picture must have a position for it to be lost"
    picture = rendered(body, resize(width=30, format=target)).body
    assert not opened(picture).getexif()
    for trace in (b"SecretCamera", b"SecretPacket", b"Ansel", b"GPS", b"Exif", b"xmpmeta"):
        assert trace not in picture


@pytest.mark.parametrize("target", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
def test_copyright_keeps_that_and_nothing_else(target: Format) -> None:
    body = pictures.with_metadata(pictures.quarters(60, 40))
    picture = rendered(body, resize(width=30, format=target, metadata="copyright")).body
    exif = opened(picture).getexif()
    assert exif[0x8298] == "Ansel Example"
    assert not exif.get_ifd(0x8825)
    for trace in (b"SecretCamera", b"SecretPacket"):
        assert trace not in picture


@pytest.mark.parametrize("target", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_all_keeps_the_position_and_the_packet(target: Format) -> None:
    body = pictures.with_metadata(pictures.quarters(60, 40))
    picture = rendered(body, resize(width=30, format=target, metadata="all")).body
    assert opened(picture).getexif().get_ifd(0x8825)
    assert b"SecretPacket" in picture


# --- animation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Format.GIF, Format.WEBP])
@pytest.mark.parametrize("target", [Format.GIF, Format.WEBP])
def test_each_frame_is_treated_by_itself_and_keeps_its_time(source: Format, target: Format) -> None:
    body = pictures.animation(source, 80, 60)
    parameters = [
        resize(width=30, height=30, fit="cover", animation="all", format=target),
        resize(width=40, animation="all", format=target),
        resize(width=50, height=50, fit="contain", background="#000000", animation="all", format=target),
        crop(x=40, y=10, width=30, height=30, animation="all", format=target),
        crop(aspect="1:1", gravity="attention", animation="all", format=target),
    ]
    for asked in parameters:
        picture = rendered(body, asked)
        assert picture.frames == 5
        colours = [frame.getpixel((frame.width * 4 // 5, frame.height // 2)) for frame in frames_of(picture.body)]
        for colour, wanted in zip(colours, pictures.FRAME_COLOURS, strict=True):
            assert isinstance(colour, tuple)
            assert close((int(colour[0]), int(colour[1]), int(colour[2])), wanted, 14)
        again = load(target, picture.body, n=-1)
        assert tuple(again.get("delay")) == pictures.FRAME_DELAYS_MS
        assert again.get("loop") == pictures.LOOPS
        assert again.get("page-height") == picture.height


@pytest.mark.parametrize(
    "asked",
    [{}, {"animation": "first"}, {"animation": "all", "format": "jpeg"}, {"animation": "all", "format": "avif"}],
)
def test_one_frame_is_given_where_more_are_not_asked_for_or_cannot_be_held(asked: dict[str, Any]) -> None:
    picture = rendered(pictures.animation(Format.GIF, 80, 60), resize(width=40, **asked))
    assert picture.frames == 1
    assert len(frames_of(picture.body)) == 1
    assert close(rgb_at(picture.body, 0.8, 0.5), RED)


# --- limits, bytes, likeness -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "measured"),
    [
        (crop(x=100, y=0, width=50, height=50), CropOutOfBoundsError, "120x80"),
        (resize(width=8192, height=8192, fit="outside", enlarge=True), ImageTooManyPixelsError, "12288x8192"),
        (resize(width=8000, height=6000, fit="fill", enlarge=True), ImageTooManyPixelsError, "48000000"),
    ],
)
def test_what_the_header_shows_to_be_impossible_is_refused_before_decoding(
    parameters: OutputParameters, error: type[Exception], measured: str
) -> None:
    body = quarters_png()
    with pytest.raises(error, match=measured):
        checked_plan(probe(body, LIMITS), parameters, LIMITS)
    with pytest.raises(error, match=measured):
        render(body, parameters, LIMITS)


def test_output_pixels_are_counted_over_all_frames() -> None:
    body = pictures.animation(Format.GIF, 80, 60, frames=5)
    asked = resize(width=40, animation="all")
    exact = Limits(max_output_pixels=40 * 30 * 5)
    assert render(body, asked, exact).frames == 5
    with pytest.raises(ImageTooManyPixelsError, match=r"5 frames.*6000.*5999"):
        render(body, asked, Limits(max_output_pixels=40 * 30 * 5 - 1))


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_equal_input_and_parameters_give_equal_bytes(source: Format, target: Format) -> None:
    body = pictures.photo(source, 160, 120)
    parameters = resize(width=80, format=target, sharpen=1, metadata="copyright")
    assert render(body, parameters, LIMITS) == render(body, parameters, LIMITS)


@pytest.mark.parametrize("shrink", Shrink)
@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP])
@pytest.mark.parametrize("width", [512, 300, 211, 64])
def test_a_resize_is_like_a_full_decode_with_lanczos_by_another_library(
    format: Format, shrink: Shrink, width: int
) -> None:
    body = pictures.photo(format, 1024, 768, seed=3, **({} if format is Format.JPEG else {"lossless": False, "Q": 90}))
    seen = samples(rendered(body, resize(width=width, format="png"), shrink=shrink).body)
    reference = (
        opened(body).convert("RGB").resize((width, width * 3 // 4 + (width * 3 % 4 >= 2)), Image.Resampling.LANCZOS)
    )
    least = {Shrink.OFF: 40.0, Shrink.QUALITY: 36.0, Shrink.FAST: 34.0}[shrink]
    assert psnr_db(seen, np.asarray(reference, dtype=np.float64)) > least
