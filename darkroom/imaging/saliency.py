"""Finds the most interesting part of a picture, for the gravities that analyse the pixels."""

from __future__ import annotations

from darkroom.contract.parameters.gravity import Saliency
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.vips import Image


def most_salient(image: Image, size: Size, saliency: Saliency) -> Rect:
    """Return the most salient part of that size. The picture must be upright and in memory, since it is read more than
    once.
    """
    cropped = image.smartcrop(size.width, size.height, interesting=saliency.value)
    # libvips reports where a cropped picture came from by its negative offset.
    return Rect(left=-cropped.xoffset, top=-cropped.yoffset, width=size.width, height=size.height)
