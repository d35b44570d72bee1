"""Sharpens what is visible of a picture."""

from __future__ import annotations

from darkroom.imaging.vips import Image

# The sharpening reads up to 2.2 sigmas away (`vips_sharpen`, whose Gaussian ends at a tenth of its peak), the blur
# that provides the colours there reads further: 4.3 sigmas.
_REACH = 2.0
_OPAQUE = 255.0


def sharpen(image: Image, sigma: float) -> Image:
    """Sharpen a picture of 8 bits per sample; its alpha stays as it is.

    Transparent pixels are filled with the colours of the visible ones around them first, or their hidden colours, or
    black in their place, would become a ring along the edge.
    """
    if not image.hasalpha():
        return image.sharpen(sigma=sigma)
    # Read many times by the blurs.
    image = image.copy_memory()
    alpha = image[image.bands - 1]
    sharpened = _filled(image, sigma).sharpen(sigma=sigma)
    return sharpened.bandjoin(alpha).copy(interpretation=image.interpretation)


def _filled(image: Image, sigma: float) -> Image:
    """Return the opaque picture that shows each visible colour, continued where the picture is transparent."""
    alpha = image[image.bands - 1]
    opacity = alpha / _OPAQUE
    visible = image.extract_band(0, n=image.bands - 1) * opacity
    # Divided by the blurred opacity, the blur is an average of visible colours alone.
    around = visible.gaussblur(_REACH * sigma, precision="float")
    weight = opacity.gaussblur(_REACH * sigma, precision="float")
    continued = (weight > 0).ifthenelse(around / weight, 0)
    filled = visible + continued * (1 - opacity)
    return filled.rint().cast("uchar").copy(interpretation=image.interpretation)
