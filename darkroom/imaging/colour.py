"""Converts any picture to 8-bit sRGB (or grey) by what describes its colours, and composites alpha on a background."""

from __future__ import annotations

from typing import Any

from darkroom.contract.parameters.values import Colour, Format
from darkroom.imaging import vips
from darkroom.imaging.coding import coding_of
from darkroom.imaging.coding import to_srgb as coding_to_srgb
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.vips import Image

WHITE = Colour(red=255, green=255, blue=255)
TRANSPARENT = Colour(red=0, green=0, blue=0, alpha=0)

# The default of picture editors: colours that both spaces have stay as they are, black stays black.
_CONVERSION: dict[str, Any] = {"depth": 8, "intent": "relative", "black_point_compensation": True}
_ICC_FIELD = "icc-profile-data"
# ICC.1:2022, 7.2.8: the header names the colour space of the device side. The numbers are bands without alpha.
_PROFILE_SPACES = {b"RGB ": 3, b"GRAY": 1, b"CMYK": 4}


def to_srgb(image: Image, facts: Facts) -> Image:
    """Convert to 8 bits per sample, RGB or grey, with alpha if there was any.

    An embedded profile describes the colours; without a usable one, what else the container says of them.
    """
    image = _of_profile_kind(_in_full_range(image, facts), facts)
    converted = _by_profile(image) if _has_fitting_profile(image) else None
    if converted is not None:
        return converted
    stated = image.interpretation
    coding = None if stated == "cmyk" else coding_of(facts.colour)
    if coding is None:
        return _by_stated(image, stated)
    return coding_to_srgb(image, coding, full_scale=_full_scale(image, facts))


def _in_full_range(image: Image, facts: Facts) -> Image:
    """Stretch samples of limited range (ITU-T H.273, 8.3, `VideoFullRangeFlag`) where the decoder does not: libheif
    leaves a picture without colour as it is, and libpng every picture.
    """
    points = facts.colour.code_points
    if points is None or points.full_range or not (facts.monochrome or facts.format is Format.PNG):
        return image
    black, white = (16, 235) if image.format == "uchar" else (16 << 8, 235 << 8)
    gain = _full_scale(image, facts) / (white - black)
    colours = image.bands - (1 if image.hasalpha() else 0)
    alphas = image.bands - colours
    stretched = image.linear([gain] * colours + [1] * alphas, [-black * gain] * colours + [0] * alphas)
    return stretched.rint().cast(image.format)


def _full_scale(image: Image, facts: Facts) -> int:
    """Return the largest sample. libvips shifts those of 10 and 12 bits to the top of 16."""
    return 255 if image.format == "uchar" else ((1 << facts.bits) - 1) << (16 - facts.bits)


def _of_profile_kind(image: Image, facts: Facts) -> Image:
    """Return one band of an AVIF without colour, of which the decoder made three, where its profile is a grey one."""
    if not facts.monochrome or _profile_bands(image) != 1:
        return image
    grey = image[0].bandjoin(image[image.bands - 1]) if image.hasalpha() else image[0]
    return grey.copy(interpretation="b-w" if image.format == "uchar" else "grey16")


def _by_profile(image: Image) -> Image | None:
    """Convert by the embedded profile. None where the profile fits but is broken: the picture is then shown without it,
    as browsers do.
    """
    pyvips = vips.library()
    try:
        return image.icc_transform("srgb", embedded=True, **_CONVERSION)
    except pyvips.Error:
        return None


def by_interpretation(image: Image) -> Image:
    """Convert like `to_srgb`, but by the declared meaning of the numbers, whatever profile there is."""
    return _by_stated(image, image.interpretation)


def _by_stated(image: Image, stated: str) -> Image:
    if stated == "cmyk":
        return image.icc_transform("srgb", input_profile="cmyk", **_CONVERSION)
    wanted = "b-w" if stated in ("b-w", "grey16") else "srgb"
    return image if stated == wanted and image.format == "uchar" else image.colourspace(wanted)


def _has_fitting_profile(image: Image) -> bool:
    """Return whether there is a profile for this kind of picture; a profile for another kind is ignored."""
    bands = _profile_bands(image)
    return bands is not None and bool(bands == image.bands - (1 if image.hasalpha() else 0))


def _profile_bands(image: Image) -> int | None:
    """Return how many bands, without alpha, the profile is for; None where there is no profile."""
    if not vips.has_field(image, _ICC_FIELD):
        return None
    profile: bytes = image.get(_ICC_FIELD)
    return _PROFILE_SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


def over_white(colour: Colour) -> Colour:
    """Composite a translucent colour on white."""

    def mixed(value: int) -> int:
        return round((value * colour.alpha + 255 * (255 - colour.alpha)) / 255)

    return Colour(red=mixed(colour.red), green=mixed(colour.green), blue=mixed(colour.blue))


def flatten(image: Image, background: Colour) -> Image:
    """Remove alpha by compositing on an opaque background."""
    if not image.hasalpha():
        return image
    image = _with_colour_for(image, background)
    return image.flatten(background=_samples(background, image.bands - 1))


def pad(image: Image, place: Rect, output: Size, background: Colour) -> Image:
    """Place the picture on a canvas. It gains alpha if the background is not opaque."""
    if background.alpha < 255 and not image.hasalpha():
        image = image.addalpha()
    image = _with_colour_for(image, background)
    samples = _samples(background, image.bands - (1 if image.hasalpha() else 0))
    if image.hasalpha():
        samples.append(background.alpha)
    # The background must not be approximated from the picture's original palette.
    return vips.without_palette(image).embed(
        place.left, place.top, output.width, output.height, extend="background", background=samples
    )


def _with_colour_for(image: Image, background: Colour) -> Image:
    """Convert a grey picture to RGB where the background is not grey."""
    return image.colourspace("srgb") if image.bands < 3 and not _is_grey(background) else image


def _samples(colour: Colour, bands: int) -> list[int]:
    return [colour.red, colour.green, colour.blue] if bands >= 3 else [colour.green]


def _is_grey(colour: Colour) -> bool:
    return colour.red == colour.green == colour.blue
