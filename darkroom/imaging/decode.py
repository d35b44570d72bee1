"""Opens pictures for rendering: as small as the decoder can make them cheaply, never smaller than needed.

JPEG and WebP can be scaled while they are decoded. Shrinking in the decoder is fast and slightly less sharp than
Lanczos, so how far it goes is configurable.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Size, is_turned
from darkroom.imaging.vips import Image

Decoded = TypeVar("Decoded")


class Shrink(StrEnum):
    FAST = "fast"
    """Down to the last step that is still at least the target."""
    QUALITY = "quality"
    """libvips' rule for its own thumbnails: the last factor of two is left to Lanczos."""
    OFF = "off"
    """Decode every pixel; for reference."""


_LEFT_TO_LANCZOS = {Shrink.FAST: 1, Shrink.QUALITY: 2}
# The steps of libjpeg's scaled inverse DCT that libvips offers.
_JPEG_STEPS = (8, 4, 2)


def open_picture(body: bytes, facts: Facts, *, scaled: Size, shrink: Shrink, frames: int, strict: bool) -> Image:
    """Open the picture as stored: not upright, several frames one above the other.

    `scaled` is the size to which the whole upright picture will be scaled. A JPEG or WebP comes out no smaller than
    that, and no larger than it is. `body` is what `decodable` returns. Raises pyvips.Error or ImageCorruptError.
    """
    options: dict[str, object] = _shrink_on_load(facts, scaled, shrink)
    if frames > 1:
        options["n"] = frames
    image = vips.load(facts.format, body, strict=strict, **options)
    _check_size(image, facts, frames, is_scaled=len(options) > (frames > 1))
    return image


def _check_size(image: Image, facts: Facts, frames: int, *, is_scaled: bool) -> None:
    """Check that the decoder finds the size that the limits were checked with. Raises ImageCorruptError."""
    stored = facts.size.turned if is_turned(facts.orientation) else facts.size
    found = Size(width=image.width, height=image.height // frames)
    if found != stored and not (is_scaled and found.width <= stored.width and found.height <= stored.height):
        raise ImageCorruptError(f"the {facts.format} picture is {found} px by its pixels, {stored} px by its container")


def strictly_then_tolerantly(decode: Callable[[bool], Decoded]) -> Decoded:
    """Decode strictly; where libjpeg only warned of something harmless, decode again and ignore warnings.

    `decode` must have read all pixels that it wants when it returns. Raises pyvips.Error.
    """
    pyvips = vips.library()
    try:
        decoded = decode(True)
    except pyvips.Error as exc:
        if not vips.is_harmless(str(exc)):
            raise
        return decode(False)
    # libvips heeds warnings when it begins the next strip of rows, so that those of the last one remain.
    warning = vips.decoder_warning()
    if warning and not vips.is_harmless(warning):
        raise pyvips.Error(warning)
    return decoded


def _shrink_on_load(facts: Facts, scaled: Size, shrink: Shrink) -> dict[str, object]:
    if shrink is Shrink.OFF:
        return {}
    factor = min(facts.width / scaled.width, facts.height / scaled.height) / _LEFT_TO_LANCZOS[shrink]
    if factor <= 1:
        return {}
    if facts.format is Format.JPEG:
        return next(({"shrink": step} for step in _JPEG_STEPS if step <= factor), {})
    if facts.format is Format.WEBP:
        return {"scale": 1 / factor}
    return {}
