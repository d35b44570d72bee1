"""Scales every frame to exactly the planned size: Lanczos, in the picture's own colour space."""

from __future__ import annotations

from math import floor

from darkroom.imaging.animation import each_frame
from darkroom.imaging.cut import Cut
from darkroom.imaging.geometry import Extent, Rect, Size
from darkroom.imaging.vips import Image

_KERNEL = "lanczos3"
# The value that `resize` uses: anything larger than this times the target is averaged down to it first.
_GAP = 2.0


# How many copies of the last column or row may be added to find a length that the kernel divides.
_SPARE_PX = 16


def resample(
    strip: Image,
    frames: int,
    work: Cut,
    *,
    comes_premultiplied: bool,
    exact_edges: bool = False,
    extent: Extent | None = None,
    size: Size | None = None,
) -> Image:
    """Apply `work` to each frame as stored, which the decoder may have shrunk already.

    Lanczos overshoots at an edge, where alpha cannot exceed its maximum: the colour beside a hard edge comes out up to
    an eighth too strong. That is seldom seen, but sharpening would amplify it, so `exact_edges` avoids it at nearly
    twice the cost. `extent` is what the picture covers of a single frame, where that is not all of it. `size` is the
    strip's, where it is known.
    """
    whole = size or Size(width=strip.width, height=strip.height)
    if extent is not None and extent != Extent.of(whole):
        return _window(_lanczos_of_extent(strip, extent, work.scaled), work)
    frame = Size(width=whole.width, height=whole.height // frames)
    if frame == work.scaled and work.source is None and work.window.size == frame:
        return strip
    if work.scaled == frame or not strip.hasalpha():
        return _cut_and_scaled(strip, frames, work)
    # Premultiplied, because otherwise the colour of invisible pixels would bleed into their neighbours. In integers,
    # which are three times as fast as floating point, unless the edges must be exact.
    premultiplied = strip if comes_premultiplied else strip.premultiply()
    if exact_edges:
        scaled = _cut_and_scaled(premultiplied.cast("float"), frames, work).unpremultiply()
        return scaled.rint().cast(strip.format).copy(interpretation=strip.interpretation)
    return _cut_and_scaled(premultiplied.cast(strip.format), frames, work).unpremultiply().cast(strip.format)


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
    """Do what `_cut_and_scaled_frame` does, bit for bit. Only rows must not mix with those of the next frame; the
    columns of all frames are shrunk in one step, which halves the number of operations.
    """
    columns = _columns(strip, source.left, source.width)
    joined = each_frame(columns, frames, lambda frame: _shrunk_rows(frame, source, work))
    narrow = joined.reduceh(_shrink_factor(source.width, work.scaled.width), kernel=_KERNEL, gap=_GAP)
    return _columns(narrow, work.window.left, work.window.width)


def _shrunk_rows(frame: Image, source: Rect, work: Cut) -> Image:
    rows = _rows(frame, source.top, source.height)
    short = rows.reducev(_shrink_factor(source.height, work.scaled.height), kernel=_KERNEL, gap=_GAP)
    return _rows(short, work.window.top, work.window.height)


def _shrink_factor(length: int, scaled: int) -> float:
    """Return the factor that `resize` derives from a scale."""
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
    return _window(frame, work)


def _window(scaled: Image, work: Cut) -> Image:
    return scaled if work.window.size == work.scaled else extract(scaled, work.window)


def _lanczos(image: Image, size: Size) -> Image:
    return image.resize(size.width / image.width, vscale=size.height / image.height, kernel=_KERNEL)


def _lanczos_of_extent(image: Image, extent: Extent, size: Size) -> Image:
    """Scale the part of the picture that the extent covers."""
    tall, wide = float(extent.height / size.height), float(extent.width / size.width)
    spare = image.embed(
        0, 0, image.width + _spare_px(image.width, wide), image.height + _spare_px(image.height, tall), extend="copy"
    )
    # Rows first, as `resize` does.
    scaled = spare.reducev(tall, kernel=_KERNEL, gap=_GAP).reduceh(wide, kernel=_KERNEL, gap=_GAP)
    return scaled.extract_area(0, 0, size.width, size.height)


def _spare_px(length: int, factor: float) -> int:
    """Return how many pixels to add so that the length becomes, as nearly as can be, a multiple of the factor.

    Where it is none, `reduceh` and `reducev` move the picture by half of what is missing or left over.
    """

    def moved_px(spare: int) -> float:
        pixels = length + spare
        return abs(floor(pixels / factor + 0.5) * factor - pixels)

    return min(range(_SPARE_PX), key=moved_px)
