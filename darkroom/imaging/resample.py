"""Scales every frame to the very size that the plan says: Lanczos, in the picture's own colours."""

from __future__ import annotations

from darkroom.imaging.animation import each_frame
from darkroom.imaging.cut import Cut
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.vips import Image

_KERNEL = "lanczos3"
# `resize`'s own: what is more than this times the target is averaged down to it first.
_GAP = 2.0


def resample(strip: Image, frames: int, work: Cut, *, comes_premultiplied: bool) -> Image:
    """Does `work` on each frame as it is stored, which may have been shrunk in the decoder already."""
    scales = work.scaled != Size(width=strip.width, height=strip.height // frames)
    if not (scales and strip.hasalpha()):
        return _cut_and_scaled(strip, frames, work)
    # Premultiplied, or the colour of invisible pixels would bleed into their neighbours. In whole numbers, for that is
    # three times as quick as in floating point and as good to the eye.
    premultiplied = strip if comes_premultiplied else strip.premultiply().cast(strip.format)
    return _cut_and_scaled(premultiplied, frames, work).unpremultiply().cast(strip.format)


def extract(image: Image, area: Rect) -> Image:
    return image.extract_area(area.left, area.top, area.width, area.height)


def _cut_and_scaled(strip: Image, frames: int, work: Cut) -> Image:
    whole = Rect(left=0, top=0, width=strip.width, height=strip.height // frames)
    source = work.source or whole
    if source == whole and source.size == work.scaled == work.window.size:
        return strip
    if frames > 1 and _only_shrinks(source.size, work.scaled):
        return _shrunk_by_axes(strip, frames, source, work)
    return each_frame(strip, frames, lambda frame: _cut_and_scaled_frame(frame, work))


def _only_shrinks(source: Size, scaled: Size) -> bool:
    return source != scaled and scaled.width <= source.width and scaled.height <= source.height


def _shrunk_by_axes(strip: Image, frames: int, source: Rect, work: Cut) -> Image:
    """What `_cut_and_scaled_frame` does, to the bit. Only rows may not mix with those of the next frame; the columns
    of all frames are shrunk in one go, which halves the operations to build and run."""
    columns = _columns(strip, source.left, source.width)
    joined = each_frame(columns, frames, lambda frame: _shrunk_rows(frame, source, work))
    narrow = joined.reduceh(_shrink_factor(source.width, work.scaled.width), kernel=_KERNEL, gap=_GAP)
    return _columns(narrow, work.window.left, work.window.width)


def _shrunk_rows(frame: Image, source: Rect, work: Cut) -> Image:
    rows = _rows(frame, source.top, source.height)
    short = rows.reducev(_shrink_factor(source.height, work.scaled.height), kernel=_KERNEL, gap=_GAP)
    return _rows(short, work.window.top, work.window.height)


def _shrink_factor(length: int, scaled: int) -> float:
    """As `resize` comes to it from a scale."""
    return 1 / (scaled / length)


def _rows(image: Image, top: int, height: int) -> Image:
    return image if height == image.height else image.extract_area(0, top, image.width, height)


def _columns(image: Image, left: int, width: int) -> Image:
    return image if width == image.width else image.extract_area(left, 0, width, image.height)


def _cut_and_scaled_frame(frame: Image, work: Cut) -> Image:
    if work.source is not None:
        frame = extract(frame, work.source)
    if work.scaled != Size(width=frame.width, height=frame.height):
        frame = _lanczos(frame, work.scaled)
    return frame if work.window.size == work.scaled else extract(frame, work.window)


def _lanczos(image: Image, size: Size) -> Image:
    return image.resize(size.width / image.width, vscale=size.height / image.height, kernel=_KERNEL)
