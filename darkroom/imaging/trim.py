"""Finds the border of one colour around a picture."""

from __future__ import annotations

from functools import reduce

from darkroom.imaging.colour import to_srgb
from darkroom.imaging.decode import open_picture, strictly_then_tolerantly
from darkroom.imaging.develop import Area
from darkroom.imaging.facts import Facts
from darkroom.imaging.faults import decoding_errors
from darkroom.imaging.geometry import Rect, Size, is_turned, to_stored
from darkroom.imaging.probe import decodable
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.vips import Image

THRESHOLD = 10
"""A pixel belongs to the border if none of its samples differs by more from the colour of the top left corner."""


def trimmed_area(body: bytes, facts: Facts, *, frames: int) -> Area | None:
    """Return the smallest area of the picture as stored that has everything but the border, in all frames.

    None where nothing is cut off, also for a picture of one colour. The whole picture is decoded, of which a mask of
    one byte per pixel is kept. Raises ImageCorruptError or ImageTruncatedError.
    """
    body = decodable(body, facts, all_frames=frames > 1)
    with decoding_errors(facts):
        mask = strictly_then_tolerantly(facts.format, lambda strict: _mask(body, facts, frames, strict=strict))
    whole = Size(width=mask.width, height=mask.height // frames)
    areas = [_area(mask.extract_area(0, index * whole.height, whole.width, whole.height)) for index in range(frames)]
    found = [area for area in areas if area is not None]
    area = reduce(_union, found) if found else None
    return None if area is None or area.size == whole else Area(of=facts, stored=area)


def _mask(body: bytes, facts: Facts, frames: int, *, strict: bool) -> Image:
    """Return 255 where a pixel differs from the corner and 0 elsewhere, in memory."""
    stored = facts.size.turned if is_turned(facts.orientation) else facts.size
    corner = to_stored(Rect(left=0, top=0, width=1, height=1), facts.size, facts.orientation)

    def pixels(count: int) -> Image:
        opened = open_picture(body, facts, scaled=facts.size, shrink=Shrink.OFF, frames=count, strict=strict)
        # The colour of invisible pixels does not matter.
        return _premultiplied(to_srgb(opened.strip, facts))

    first = pixels(1).extract_area(corner.left, corner.top, 1, 1).copy_memory()
    colour = first.getpoint(0, 0)
    differs = (pixels(frames) - colour).abs() > THRESHOLD
    mask = differs.bandor().copy_memory()
    if (mask.width, mask.height) != (stored.width, stored.height * frames):
        raise ValueError(f"the mask is {mask.width}x{mask.height} px, the picture {stored}")
    return mask


def _premultiplied(image: Image) -> Image:
    return image.premultiply() if image.hasalpha() else image


def _area(mask: Image) -> Rect | None:
    left, top, width, height = mask.find_trim(background=[0], threshold=128, line_art=True)
    return Rect(left=left, top=top, width=width, height=height) if width and height else None


def _union(one: Rect, other: Rect) -> Rect:
    left, top = min(one.left, other.left), min(one.top, other.top)
    right = max(one.left + one.width, other.left + other.width)
    bottom = max(one.top + one.height, other.top + other.height)
    return Rect(left=left, top=top, width=right - left, height=bottom - top)
