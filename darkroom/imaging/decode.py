"""Opens pictures for rendering: as small as the decoder can make them cheaply, never smaller than needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TypeVar

from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.parameters.values import Format
from darkroom.imaging import heic, vips
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Extent, Size, is_turned
from darkroom.imaging.gif_canvas import with_transparent_canvas
from darkroom.imaging.shrinking import Reduction, Shrink, reduction
from darkroom.imaging.vips import Image

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, kw_only=True)
class Opened:
    strip: Image
    """The picture as stored: not upright, several frames one above the other."""
    size: Size | None = None
    """The strip's size, where it was asked for already: each figure that libvips is asked for takes 5 µs."""
    extent: Extent | None = None
    """What the picture covers of the strip; None means all of it."""
    step: int = 1
    """By how much a JPEG was shrunk."""
    anew: Callable[[], Opened] | None = None
    """Opens the picture with more of its pixels, for where what becomes of these has fine detail."""


_decoding_a_jpeg = Lock()


def open_picture(body: bytes, facts: Facts, *, scaled: Size, shrink: Shrink, frames: int, strict: bool) -> Opened:
    """Open the picture.

    `scaled` is the size to which the whole upright picture will be scaled. A JPEG or WebP comes out no smaller than
    that, and no larger than it is. `body` is what `decodable` returns. Raises pyvips.Error or ImageCorruptError.
    """
    if facts.format is Format.HEIC:
        image = heic.load(body)
        _checked_size(image, facts, frames, is_scaled=False)
        return Opened(strip=image)
    reduced = reduction(body, facts, scaled, shrink, frames=frames)
    opened = _opened(reduced, facts, frames, strict=strict)
    if facts.format is Format.GIF:
        return Opened(strip=with_transparent_canvas(opened.strip, frames, body))
    return opened


def _opened(reduced: Reduction, facts: Facts, frames: int, *, strict: bool) -> Opened:
    careful = reduced.if_fine
    strip, frame = _load(reduced, facts, frames, strict=strict)
    return Opened(
        strip=strip,
        size=frame if frames == 1 else None,
        extent=reduced.extent,
        step=reduced.step,
        anew=None if careful is None else partial(_opened, careful, facts, frames, strict=strict),
    )


def _load(reduced: Reduction, facts: Facts, frames: int, *, strict: bool) -> tuple[Image, Size]:
    """Return the strip, and the size of one frame."""
    options = {**reduced.options, "n": frames} if frames > 1 else reduced.options
    strip = vips.load(facts.format, reduced.body, strict=strict, **options)
    return strip, _checked_size(strip, facts, frames, is_scaled=bool(reduced.options))


def _checked_size(image: Image, facts: Facts, frames: int, *, is_scaled: bool) -> Size:
    """Return the size of a frame that the decoder finds, if it is the one that the limits were checked with.

    Raises ImageCorruptError.
    """
    stored = facts.size.turned if is_turned(facts.orientation) else facts.size
    found = Size(width=image.width, height=image.height // frames)
    if found != stored and not (is_scaled and found.width <= stored.width and found.height <= stored.height):
        raise ImageCorruptError(f"the {facts.format} picture is {found} px by its pixels, {stored} px by its container")
    return found


def strictly_then_tolerantly(format: Format, decode: Callable[[bool], Decoded]) -> Decoded:
    """Decode strictly; where libjpeg only warned of something harmless, decode again and ignore warnings.

    `decode` must have read all pixels that it wants when it returns. Raises pyvips.Error.
    """
    if format is not Format.JPEG:
        return decode(True)
    # All threads share libvips' buffer of messages.
    with _decoding_a_jpeg:
        return _strictly_then_tolerantly(decode)


def _strictly_then_tolerantly(decode: Callable[[bool], Decoded]) -> Decoded:
    pyvips = vips.library()
    try:
        decoded = decode(True)
    except pyvips.Error as exc:
        if not vips.is_harmless(str(exc)):
            raise
        return decode(False)
    refuse_damage()
    return decoded


def refuse_damage() -> None:
    """Raise pyvips.Error if libjpeg warned of damage in what was decoded last.

    libvips heeds warnings when it begins the next strip of rows, so that those of the last one remain.
    """
    warning = vips.decoder_warning()
    if warning and not vips.is_harmless(warning):
        raise vips.library().Error(warning)
