"""Opens pictures for rendering: as small as the decoder can make them cheaply, never smaller than needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Extent, Size
from darkroom.imaging.gif_canvas import with_transparent_canvas
from darkroom.imaging.shrinking import Shrink, reduction
from darkroom.imaging.vips import Image

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, kw_only=True)
class Opened:
    strip: Image
    """The picture as stored: not upright, several frames one above the other."""
    extent: Extent | None
    """What the picture covers of the strip; None means all of it."""


def open_picture(body: bytes, facts: Facts, *, scaled: Size, shrink: Shrink, frames: int, strict: bool) -> Opened:
    """Open the picture.

    `scaled` is the size to which the whole upright picture will be scaled. A JPEG or WebP comes out no smaller than
    that, and no larger than it is.
    """
    reduced = reduction(body, facts, scaled, shrink, frames=frames)
    options = {**reduced.options, "n": frames} if frames > 1 else reduced.options
    strip = vips.load(facts.format, reduced.body, strict=strict, **options)
    if facts.format is Format.GIF:
        strip = with_transparent_canvas(strip, frames, body)
    return Opened(strip=strip, extent=reduced.extent)


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
