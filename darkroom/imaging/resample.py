"""Scales every frame to the very size that the plan says: Lanczos, in the picture's own colours."""

from __future__ import annotations

from collections.abc import Callable

from darkroom.imaging.animation import each_frame
from darkroom.imaging.geometry import Cut, Rect, Size
from darkroom.imaging.vips import Image


def resample(strip: Image, frames: int, work: Cut) -> Image:
    """Does `work` on each frame as it is stored, which may have been shrunk in the decoder already."""
    scales = work.scaled != Size(width=strip.width, height=strip.height // frames)
    if scales and strip.hasalpha():
        return _with_alpha_premultiplied(strip, lambda premultiplied: _cut_and_scaled(premultiplied, frames, work))
    return _cut_and_scaled(strip, frames, work)


def extract(image: Image, area: Rect) -> Image:
    return image.extract_area(area.left, area.top, area.width, area.height)


def _cut_and_scaled(strip: Image, frames: int, work: Cut) -> Image:
    return each_frame(strip, frames, lambda frame: _cut_and_scaled_frame(frame, work))


def _cut_and_scaled_frame(frame: Image, work: Cut) -> Image:
    if work.source is not None:
        frame = extract(frame, work.source)
    if work.scaled != Size(width=frame.width, height=frame.height):
        frame = _lanczos(frame, work.scaled)
    return frame if work.window.size == work.scaled else extract(frame, work.window)


def _with_alpha_premultiplied(image: Image, work: Callable[[Image], Image]) -> Image:
    """Or the colour of invisible pixels would bleed into their neighbours. In whole numbers, for that is three times
    as quick as in floating point and as good to the eye."""
    return work(image.premultiply().cast(image.format)).unpremultiply().cast(image.format)


def _lanczos(image: Image, size: Size) -> Image:
    return image.resize(size.width / image.width, vscale=size.height / image.height, kernel="lanczos3")
