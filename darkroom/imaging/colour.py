"""Converts any picture to 8-bit sRGB (or grey) by its embedded profile, and composites alpha on a background."""

from __future__ import annotations

from typing import Any

from darkroom.contract.parameters.values import Colour
from darkroom.imaging import vips
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.vips import Image

WHITE = Colour(red=255, green=255, blue=255)
TRANSPARENT = Colour(red=0, green=0, blue=0, alpha=0)

# The default of picture editors: colours that both spaces have stay as they are, black stays black.
_CONVERSION: dict[str, Any] = {"depth": 8, "intent": "relative", "black_point_compensation": True}
_ICC_FIELD = "icc-profile-data"
# ICC.1:2022, 7.2.8: the header names the colour space of the device side. The numbers are bands without alpha.
_PROFILE_SPACES = {b"RGB ": 3, b"GRAY": 1, b"CMYK": 4}


def to_srgb(image: Image) -> Image:
    """Convert to 8 bits per sample, RGB or grey, with alpha if there was any."""
    converted = _by_profile(image) if _has_fitting_profile(image) else None
    return by_interpretation(image) if converted is None else converted


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
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb", input_profile="cmyk", **_CONVERSION)
    wanted = "b-w" if image.interpretation in ("b-w", "grey16") else "srgb"
    return image if image.interpretation == wanted and image.format == "uchar" else image.colourspace(wanted)


def _has_fitting_profile(image: Image) -> bool:
    """Return whether there is a profile for this kind of picture; a profile for another kind is ignored."""
    if not vips.has_field(image, _ICC_FIELD):
        return False
    profile: bytes = image.get(_ICC_FIELD)
    colour_bands = image.bands - (1 if image.hasalpha() else 0)
    return profile[36:40] == b"acsp" and _PROFILE_SPACES.get(profile[16:20]) == colour_bands


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
