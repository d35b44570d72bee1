"""Scales one frame to the very size that the plan says: Lanczos, alpha premultiplied, in the picture's own colours."""

from __future__ import annotations

from darkroom.imaging.geometry import Cut, Rect, Size
from darkroom.imaging.vips import Image


def resample(image: Image, work: Cut) -> Image:
    """Does `work` on a frame as it is stored, which may have been shrunk in the decoder already."""
    if work.source is not None:
        image = extract(image, work.source)
    if work.scaled != Size(width=image.width, height=image.height):
        image = _scaled(image, work.scaled)
    return image if work.window.size == work.scaled else extract(image, work.window)


def extract(image: Image, area: Rect) -> Image:
    return image.extract_area(area.left, area.top, area.width, area.height)


def _scaled(image: Image, size: Size) -> Image:
    if not image.hasalpha():
        return _lanczos(image, size)
    # Premultiplied, or the colour of invisible pixels would bleed into their neighbours.
    return _lanczos(image.premultiply(), size).unpremultiply().cast(image.format)


def _lanczos(image: Image, size: Size) -> Image:
    return image.resize(size.width / image.width, vscale=size.height / image.height, kernel="lanczos3")
