"""Frames of an animation: apart, one by one, and together again with their timing.

libvips holds an animation as one tall strip. Scaling the strip would blend the frames' edges, and cropping it would
crop the strip: each frame is treated by itself.
"""

from __future__ import annotations

from collections.abc import Callable
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


def each_frame(strip: Image, frames: int, work: Callable[[Image], Image]) -> Image:
    """A strip of the same frames, `work` done on each. Nothing is computed yet: the strip is decoded only once, from
    the top to the bottom, when the whole is asked for."""
    if frames == 1:
        return work(strip)
    height = strip.height // frames
    done = [work(strip.extract_area(0, index * height, strip.width, height)) for index in range(frames)]
    return vips.library().Image.arrayjoin(done, across=1)


def timed(strip: Image, frames: int, timing: Timing) -> Image:
    """The strip as the savers want to be told of it."""
    told = strip.copy()
    vips.set_number(told, "page-height", strip.height // frames)
    vips.set_number(told, "loop", timing.loops)
    vips.set_numbers(told, "delay", timing.delays_ms)
    return told
