"""Frames of an animation: splitting, working on each, and joining them with their timing.

libvips holds an animation as one tall strip. Scaling the strip would blend the frames' edges, and cropping it would
crop the strip, so each frame is processed by itself.
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
    """How often the animation is played; 0 means forever."""


def timing_of(strip: Image) -> Timing:
    delays = strip.get("delay") if vips.has_field(strip, "delay") else ()
    loops = strip.get("loop") if vips.has_field(strip, "loop") else 0
    return Timing(delays_ms=tuple(delays), loops=loops)


def each_frame(strip: Image, frames: int, work: Callable[[Image], Image]) -> Image:
    """Return a strip of the same frames with `work` applied to each.

    Nothing is computed yet: the strip is decoded only once, from top to bottom, when the result is read.
    """
    if frames == 1:
        return work(strip)
    height = strip.height // frames
    done = [work(strip.extract_area(0, index * height, strip.width, height)) for index in range(frames)]
    return vips.library().Image.arrayjoin(done, across=1)


def with_timing(strip: Image, frames: int, timing: Timing) -> Image:
    """Return the strip with the fields from which the savers read its frames and timing."""
    result = strip.copy()
    vips.set_number(result, "page-height", strip.height // frames)
    vips.set_number(result, "loop", timing.loops)
    vips.set_numbers(result, "delay", timing.delays_ms)
    return result
