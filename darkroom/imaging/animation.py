"""Frames of an animation: apart, one by one, and together again with their timing.

libvips holds an animation as one tall strip. Scaling the strip would blend the frames' edges, and cropping it would
crop the strip: each frame is treated by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darkroom.imaging import vips
from darkroom.imaging.vips import Image


@dataclass(frozen=True, kw_only=True)
class Timing:
    delays_ms: tuple[int, ...]
    loops: int
    """How often the animation is played; 0 is for ever."""


def timing_of(strip: Image) -> Timing:
    delays = strip.get("delay") if vips.has_field(strip, "delay") else ()
    loops = strip.get("loop") if vips.has_field(strip, "loop") else 0
    return Timing(delays_ms=tuple(delays), loops=loops)


def frames_of(strip: Image, count: int) -> Iterator[Image]:
    """From the first to the last; each must be read before the next is taken, for the strip is decoded only once."""
    height = strip.height // count
    for index in range(count):
        yield strip.extract_area(0, index * height, strip.width, height)


def joined(frames: Sequence[Image], timing: Timing) -> Image:
    strip = vips.library().Image.arrayjoin(list(frames), across=1).copy()
    vips.set_number(strip, "page-height", frames[0].height)
    vips.set_number(strip, "loop", timing.loops)
    vips.set_numbers(strip, "delay", timing.delays_ms)
    return strip
