"""What is known of a picture before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from darkroom.contract.parameters.values import Format
from darkroom.imaging.containers.contents import ColourDescription
from darkroom.imaging.containers.edits import Edits
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size


@dataclass(frozen=True, kw_only=True)
class Facts:
    format: Format
    width: int
    """Width of one frame after EXIF orientation; `height` likewise."""
    height: int
    bands: int
    has_alpha: bool
    frames: int
    """Number of frames. They are counted up to one more than the limit."""
    progressive: bool
    """A progressive JPEG, an interlaced PNG or GIF: held in memory whole before the first row comes out."""
    has_icc: bool
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright."""
    bits: int
    """Bits per sample: 8 or more."""
    input_bytes: int
    scans: int = 1
    """Number of scans of a JPEG; each costs a pass over all coefficients."""
    lossless: bool = False
    monochrome: bool = False
    """Whether an AVIF is stored without colour; its decoder makes three bands of the one."""
    palette_colours: int = 0
    """Number of colours in the palette; 0 where there is none."""
    fills_canvas: bool = True
    """Whether the first frame of a GIF or WebP covers the whole canvas."""
    compressed_metadata_bytes: int = 0
    """Bytes of metadata that is stored compressed, as it is stored. The decoder sees none of it but a small profile."""
    colour: ColourDescription = field(default_factory=ColourDescription)
    ends: bool = True
    """Whether the end of the pixels is certain. False where the end marker is missing but the pixels may be complete;
    only decoding shows it: see `prove_end`."""
    edits: Edits | None = field(default=None, compare=False, repr=False)
    """What to change in the body before a decoder sees it, where that was found on the way and does not depend on the
    frames that are asked for."""

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def total_pixels(self) -> int:
        """Pixels of all frames."""
        return self.pixels * self.frames

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return TRAITS[self.format].extension

    @property
    def content_type(self) -> str:
        return TRAITS[self.format].content_type
