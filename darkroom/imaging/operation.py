"""Applies a function's own operation to developed frames, and prepares its result for encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame
from darkroom.imaging.colour import by_interpretation
from darkroom.imaging.geometry import Size
from darkroom.imaging.vips import Image

Operation: TypeAlias = Callable[[Image], Image]
"""Takes one frame, a `pyvips.Image`: in memory, upright, 8 bits per sample in sRGB or grey, with alpha if there was
any.

Returns a frame of any size, depth and colour space; every frame must get the same size. Called once per frame.
"""


def apply(operation: Operation, strip: Image, frames: int) -> Image:
    """Return a strip of the frames that the operation makes.

    Raises what the operation raises, and TypeError or ValueError where its result is not a picture.
    """
    sizes: set[Size] = set()

    def work(frame: Image) -> Image:
        made = _encodable(operation(frame), frame)
        sizes.add(Size(width=made.width, height=made.height))
        return made

    done = each_frame(strip, frames, work)
    if len(sizes) > 1:
        found = ", ".join(sorted(map(str, sizes)))
        raise ValueError(f"the operation must make every frame of one size, made {found}")
    return done


def _encodable(made: Image, frame: Image) -> Image:
    """Convert to what the encoder requires: 8 bits in sRGB or grey, the frame's metadata, and no old palette."""
    if not isinstance(made, vips.library().Image):
        raise TypeError(f"the operation must return a pyvips.Image, returned {type(made).__name__}")
    eight_bits = by_interpretation(made).cast("uchar")
    return vips.without_palette(vips.with_metadata_of(eight_bits, frame))
