"""Blurs by a Gaussian."""

from __future__ import annotations

from darkroom.imaging.vips import Image

_LARGEST_EXACT_SIGMA = 6.0
"""A larger blur is computed on a smaller copy, where it costs a constant amount per pixel and looks the same."""
_LEAST_SIDE_PX = 8


def blurred(image: Image, sigma: float) -> Image:
    """Blur a picture. The colour of invisible pixels does not bleed into visible ones."""
    if image.hasalpha():
        return _gaussian(image.premultiply(), sigma).unpremultiply().cast(image.format)
    return _gaussian(image, sigma)


def _gaussian(image: Image, sigma: float) -> Image:
    factor = min(int(sigma / _LARGEST_EXACT_SIGMA * 2), image.width // _LEAST_SIDE_PX, image.height // _LEAST_SIDE_PX)
    if factor < 2:
        return image.gaussblur(sigma, precision="float").cast(image.format)
    small = image.resize(1 / factor, kernel="linear")
    # Shrinking by boxes and enlarging by triangles blur by themselves: variances add up.
    variance = (sigma / factor) ** 2 - 1 / 12 - 1 / 6
    soft = small.gaussblur(variance**0.5, precision="float")
    return soft.resize(image.width / soft.width, vscale=image.height / soft.height, kernel="linear").cast(image.format)
