"""What a container states about its picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from darkroom.imaging.geometry import Size

Chromaticities: TypeAlias = tuple[int, int, int, int, int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class CodePoints:
    """How colours are coded, as ITU-T H.273 numbers it: PNG's cICP chunk, AVIF's `nclx` box."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


@dataclass(frozen=True, kw_only=True)
class ColourDescription:
    """Every statement about colour that the container makes. Which one wins is not decided here."""

    has_icc: bool = False
    code_points: CodePoints | None = None
    srgb_intent: int | None = None
    """Rendering intent of PNG's sRGB chunk, 0 to 3."""
    gamma: int | None = None
    """PNG's gAMA chunk, in units of 1/100,000."""
    chromaticities: Chromaticities | None = None
    """PNG's cHRM chunk: x and y of white, red, green and blue, in units of 1/100,000."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    coded: Size
    """Size of one frame as it is stored, before the orientation is applied. For AVIF: after its own turns and cuts,
    since the decoder applies them."""
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    bands: int
    has_alpha: bool = False
    monochrome: bool = False
    """Whether an AVIF is stored without colour."""
    bits: int = 8
    frames: int = 1
    scans: int = 1
    progressive: bool = False
    lossless: bool = False
    palette_colours: int = 0
    fills_canvas: bool = True
    """Whether the first frame covers the whole canvas."""
    compressed_metadata_bytes: int = 0
    """Bytes of metadata that is stored compressed, as it is stored."""
    colour: ColourDescription = field(default_factory=ColourDescription)
    ends: bool = True
    """Whether the end of the pixels is certain. False where the end marker is missing but the pixels may be complete,
    which only decoding them shows."""
