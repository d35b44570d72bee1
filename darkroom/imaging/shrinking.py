"""Decides how far a decoder shrinks a picture while it decodes it. JPEG and WebP can be shrunk.

Shrinking in the decoder is fast and less like Lanczos than Lanczos itself, so how far it goes is configurable.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from darkroom.contract.parameters.values import Format
from darkroom.imaging import jpeg_frame
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Extent, Size, is_turned


class Shrink(StrEnum):
    FAST = "fast"
    """As far as a photograph loses less than 1 dB by it."""
    QUALITY = "quality"
    """libvips' rule for its own thumbnails: the last factor of two is left to Lanczos."""
    OFF = "off"
    """Decode every pixel; for reference."""


# The steps of libjpeg's scaled inverse DCT that libvips offers, with the factor from which each is taken whatever the
# picture. Between a step and this factor, text is nearer to Lanczos by more than 1 dB with the next smaller step, and a
# photograph is not: benchmarks/results/imaging.md.
_JPEG_STEPS = {8: 10, 4: 5, 2: 3}
# The largest picture of which a sample says enough.
_MAX_SAMPLED_PX = 4_000_000
# What is left to Lanczos of a WebP, which libwebp scales by any factor, and the least factor for which it does; below,
# scaling takes as long as decoding every pixel.
_LEFT_OF_WEBP, _LEAST_WEBP_FACTOR = 1.5, 2
# What libvips leaves to Lanczos.
_LEFT_FOR_QUALITY = 2


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """How to decode a picture."""

    body: bytes
    options: dict[str, object] = field(default_factory=dict)
    """For the loader."""
    extent: Extent | None = None
    """What the picture covers of the decoded pixels; None means all of them."""
    step: int = 1
    """By how much a JPEG is shrunk."""
    if_fine: Reduction | None = None
    """How to decode it instead, where what becomes of this has fine detail."""


def reduction(body: bytes, facts: Facts, scaled: Size, shrink: Shrink, *, frames: int = 1) -> Reduction:
    """Return how to decode that many frames of a picture that will be scaled to `scaled` as a whole, upright: no
    smaller than that.
    """
    factor = min(facts.width / scaled.width, facts.height / scaled.height)
    if facts.format is Format.JPEG:
        return _jpeg_reduction(body, facts, factor, shrink)
    if facts.format is Format.WEBP:
        return _webp_reduction(body, facts, factor, shrink, frames)
    return Reduction(body=body)


@dataclass(frozen=True, kw_only=True)
class DecodeScale:
    """How large a picture is decoded, as a fraction of each side, as far as the header shows."""

    first: float
    if_fine: float
    """How large it is decoded again, where what becomes of it has fine detail."""


def decode_scale(facts: Facts, scaled: Size, shrink: Shrink) -> DecodeScale:
    """Return what `reduction` comes to for a still. Some JPEGs cannot be shrunk; those are decoded whole."""
    factor = min(facts.width / scaled.width, facts.height / scaled.height)
    match facts.format:
        case Format.JPEG:
            step, careful = _jpeg_steps(facts, factor, shrink)
            return DecodeScale(first=1 / step, if_fine=1 / careful)
        case Format.WEBP:
            scale = _webp_scale(facts, factor, shrink, frames=1)
            return DecodeScale(first=scale, if_fine=scale)
        case _:
            return DecodeScale(first=1, if_fine=1)


def _jpeg_reduction(body: bytes, facts: Facts, factor: float, shrink: Shrink) -> Reduction:
    step, careful = _jpeg_steps(facts, factor, shrink)
    # Where the sides are multiples of the larger step, the smaller one pads nothing either.
    reduced = _by_step(body, facts, step)
    if step == careful or reduced.step == 1:
        return reduced
    return replace(reduced, if_fine=_shrunk(reduced.body, facts, careful))


def _jpeg_steps(facts: Facts, factor: float, shrink: Shrink) -> tuple[int, int]:
    """Return the step to try, and the one for a picture that turns out to have fine detail; the same where the picture
    is not looked at.
    """
    careful = _jpeg_step(factor, shrink)
    largest = next((step for step in _JPEG_STEPS if step <= factor), 1)
    if shrink is not Shrink.FAST or largest == careful or not _may_be_sampled(facts, largest):
        return careful, careful
    return largest, careful


def _may_be_sampled(facts: Facts, step: int) -> bool:
    """Return whether a picture that is shrunk by this step is small enough to look at, and has no part of a sample at
    its edge: where little is left to Lanczos, such a part would displace what is beside it.
    """
    is_small = facts.width * facts.height <= _MAX_SAMPLED_PX * step**2
    return is_small and facts.width % step == facts.height % step == 0


def _jpeg_step(factor: float, shrink: Shrink) -> int:
    """Return the step for a picture that will be scaled down by `factor`; 1 decodes every pixel.

    The fewer samples of a block the inverse DCT computes, the less they are like Lanczos, most of all at fine and hard
    edges such as text. What Lanczos scales down afterwards blurs the difference, so something must be left to it.
    """
    match shrink:
        case Shrink.FAST:
            return next((step for step, least in _JPEG_STEPS.items() if least <= factor), 1)
        case Shrink.QUALITY:
            return next((step for step in _JPEG_STEPS if step * _LEFT_FOR_QUALITY <= factor), 1)
        case Shrink.OFF:
            return 1


def _by_step(body: bytes, facts: Facts, step: int) -> Reduction:
    padded = jpeg_frame.padded_to(body, step) if step > 1 else None
    return Reduction(body=body) if padded is None else _shrunk(padded, facts, step)


def _shrunk(padded: bytes, facts: Facts, step: int) -> Reduction:
    if step == 1:
        return Reduction(body=padded)
    stored = facts.size.turned if is_turned(facts.orientation) else facts.size
    return Reduction(body=padded, options={"shrink": step}, extent=Extent.of(stored, step), step=step)


def _webp_reduction(body: bytes, facts: Facts, factor: float, shrink: Shrink, frames: int) -> Reduction:
    scale = _webp_scale(facts, factor, shrink, frames)
    return Reduction(body=body, options={} if scale == 1 else {"scale": scale})


def _webp_scale(facts: Facts, factor: float, shrink: Shrink, frames: int) -> float:
    if shrink is Shrink.OFF or not _webp_shrinks_well(facts):
        return 1
    left = _left_of_webp(facts, factor, shrink, frames)
    return left / factor if left < factor else 1


def _left_of_webp(facts: Facts, factor: float, shrink: Shrink, frames: int) -> float:
    """Return the factor that is left to Lanczos.

    libwebp averages boxes, which is less like Lanczos than an inverse DCT. What is stored without loss is mostly text
    and drawings, where that is seen most. The frames of an animation are seen for a moment, and are many.
    """
    if shrink is Shrink.QUALITY:
        return _LEFT_FOR_QUALITY
    if frames > 1:
        return 1
    return _LEFT_FOR_QUALITY if facts.lossless or factor <= _LEAST_WEBP_FACTOR else _LEFT_OF_WEBP


def _webp_shrinks_well(facts: Facts) -> bool:
    """Return whether libwebp's own scaling keeps the colours where they are.

    It scales colour and alpha apart from each other, so that the colour of invisible pixels bleeds into visible ones.
    And it stretches the colours, which are stored at half the size rounded up, over a side that is odd, so that those
    of a lossy picture are displaced by up to a pixel (libwebp, src/dec/io_dec.c, `InitRGBRescaler`).
    """
    has_colours_in_place = facts.lossless or (facts.width % 2 == 0 and facts.height % 2 == 0)
    return has_colours_in_place and not facts.has_alpha
