"""Texts from which a page can draw a picture roughly before it has loaded."""

from __future__ import annotations

import base64

from darkroom.contract.parameters.values import Placeholder
from darkroom.imaging.colour import WHITE, flatten
from darkroom.imaging.thumbhash import thumbhash
from darkroom.imaging.vips import Image

_SIDE_PX = 32
"""Neither hash has more detail than a picture of this size, and both take time per pixel, in Python."""
_COMPONENTS = (4, 3)
"""Of a BlurHash: along the longer and the shorter side, as its authors recommend."""


def placeholder_of(frame: Image, kind: Placeholder) -> str:
    """Return the text for an upright picture in 8-bit sRGB or grey.

    A ThumbHash in base64 (evanw/thumbhash), a BlurHash (woltapp/blurhash), or the average colour as `#rrggbb`.
    """
    match kind:
        case Placeholder.THUMBHASH:
            return _thumbhash(_thumbnail(frame))
        case Placeholder.BLURHASH:
            return _blurhash(flatten(_thumbnail(frame), WHITE))
        case Placeholder.COLOUR:
            return _average_colour(_with_alpha(frame))


def _thumbhash(image: Image) -> str:
    return base64.b64encode(thumbhash(image.width, image.height, bytes(image.write_to_memory()))).decode()


def _blurhash(image: Image) -> str:
    import blurhash

    samples, row = bytes(image.write_to_memory()), 3 * image.width
    lines = [samples[at : at + row] for at in range(0, len(samples), row)]
    pixels = [[line[at : at + 3] for at in range(0, row, 3)] for line in lines]
    across, down = _COMPONENTS if image.width >= image.height else reversed(_COMPONENTS)
    return str(blurhash.encode(pixels, components_x=across, components_y=down))


def _average_colour(image: Image) -> str:
    """Return the average of the visible pixels; of an invisible picture, black."""
    red, green, blue, alpha = (image.premultiply().extract_band(band).avg() for band in range(4))
    weight = alpha / 255
    rounded = (round(min(255.0, sample / weight)) if weight else 0 for sample in (red, green, blue))
    return "#" + "".join(f"{sample:02x}" for sample in rounded)


def _thumbnail(image: Image) -> Image:
    image = _with_alpha(image)
    scale = min(1.0, _SIDE_PX / max(image.width, image.height))
    if scale == 1.0:
        return image
    across, down = (max(1, round(side * scale)) / side for side in (image.width, image.height))
    return image.premultiply().resize(across, vscale=down).unpremultiply().cast("uchar").copy(interpretation="srgb")


def _with_alpha(image: Image) -> Image:
    coloured = image.colourspace("srgb") if image.bands < 3 else image
    return coloured if coloured.hasalpha() else coloured.addalpha()
