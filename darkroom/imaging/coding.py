"""Converts pictures to sRGB by what their container says of their colours, where they have no ICC profile.

Of several statements the first counts: code points (PNG's cICP, AVIF's nclx), PNG's sRGB, its gAMA and cHRM. Without
any a picture is taken for sRGB, as browsers do.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.imaging import primaries, tone, transfer, vips
from darkroom.imaging.containers.contents import Chromaticities, CodePoints, ColourDescription
from darkroom.imaging.primaries import Primaries
from darkroom.imaging.transfer import Transfer
from darkroom.imaging.vips import Image

# PNG's gAMA of sRGB (PNG specification, third edition, 11.3.2.5). Many write it, or one close to it, and mean sRGB.
_SRGB_GAMMA = 45_455
_SRGB_GAMMA_TOLERANCE = 455
_PNG_UNIT = 100_000
_HDR = (transfer.PQ, transfer.HLG)


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How the samples of a picture become linear light."""

    primaries: Primaries
    transfer: Transfer
    code_point: int = 0
    """ITU-T H.273's number of the transfer function; 0 where it was not given by number."""

    @property
    def is_hdr(self) -> bool:
        return self.code_point in _HDR


def coding_of(colour: ColourDescription) -> Coding | None:
    """Return how a picture other than one in sRGB is coded; None for one in sRGB."""
    if colour.code_points is not None:
        return _by_code_points(colour.code_points)
    if colour.srgb_intent is not None:
        return None
    return _by_gamma(colour.gamma, colour.chromaticities)


def to_srgb(image: Image, coding: Coding, *, full_scale: int) -> Image:
    """Convert to 8 bits in sRGB or grey; alpha is kept. `full_scale` is the largest sample."""
    alpha = image[image.bands - 1] if image.hasalpha() else None
    colour = image if alpha is None else image.extract_band(0, n=image.bands - 1)
    linear = _linear(colour, coding, full_scale)
    if coding.is_hdr:
        linear = tone.mapped(linear)
    if linear.bands == 3 and not coding.primaries.is_like(primaries.SRGB):
        linear = linear.recomb([list(row) for row in primaries.to_linear_srgb(coding.primaries)])
    shown = _encoded(linear)
    return shown if alpha is None else shown.bandjoin(_eight_bits(alpha))


def _by_code_points(points: CodePoints) -> Coding | None:
    known = primaries.BY_CODE_POINT.get(points.primaries, primaries.SRGB)
    function = transfer.BY_CODE_POINT.get(points.transfer, transfer.srgb)
    if function is transfer.srgb and known.is_like(primaries.SRGB):
        return None
    return Coding(primaries=known, transfer=function, code_point=points.transfer)


def _by_gamma(gamma: int | None, chromaticities: Chromaticities | None) -> Coding | None:
    known = primaries.SRGB if chromaticities is None else _primaries_of(chromaticities)
    is_srgb = not gamma or abs(gamma - _SRGB_GAMMA) <= _SRGB_GAMMA_TOLERANCE
    if is_srgb and known.is_like(primaries.SRGB):
        return None
    return Coding(primaries=known, transfer=transfer.srgb if is_srgb else transfer.power(_PNG_UNIT / (gamma or 1)))


def _primaries_of(chromaticities: Chromaticities) -> Primaries:
    """Return what PNG's cHRM states; sRGB's where that cannot be meant."""
    numbers = [number / _PNG_UNIT for number in chromaticities]
    white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
    stated = Primaries(white=white, red=red, green=green, blue=blue)
    return stated if stated.are_usable else primaries.SRGB


def _linear(colour: Image, coding: Coding, full_scale: int) -> Image:
    samples = vips.library().Image.identity(ushort=colour.format == "ushort") * (1 / full_scale)
    table = coding.transfer((samples < 1).ifthenelse(samples, 1)).cast("float")
    light = colour.maplut(table)
    if coding.code_point != transfer.HLG:
        return light
    weights = primaries.luminance(coding.primaries)
    luminance = light if light.bands == 1 else light.recomb([list(weights)])
    return transfer.hlg_displayed(light, luminance)


def _encoded(linear: Image) -> Image:
    """Return linear sRGB or grey in 8 bits of sRGB, clipped."""
    low = (linear > 0).ifthenelse(linear, 0)
    light = (low < 1).ifthenelse(low, 1)
    value = (light <= 0.0031308).ifthenelse(light * 12.92, light ** (1 / 2.4) * 1.055 - 0.055)
    interpretation = "srgb" if linear.bands == 3 else "b-w"
    return (value * 255).rint().cast("uchar").copy(interpretation=interpretation)


def _eight_bits(alpha: Image) -> Image:
    return alpha if alpha.format == "uchar" else (alpha >> 8).cast("uchar")
