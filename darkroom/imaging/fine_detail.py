"""Tells text and drawings from photographs, by a sample of what became of a picture that a decoder has shrunk.

What is lost by shrinking in the decoder is detail of about the size of a pixel. A photograph has little of it, text and
patterns have much. How much lies at that size shows in the ratio of two energies: that of the second differences
between neighbouring pixels over that of the first. It is 3 for noise and 0 for a slope; of what was measured, it is at
most 2.0 for photographs at a quarter of their size and at least 2.1 for text, textures and a zone plate
(benchmarks/results/imaging.md).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator

from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_LEAST_RATIO = 2.1
# At half the size, large letters look like a photograph by the ratio, but their edges are harder: in squared levels.
_LEAST_ENERGY_AT_HALF = 800
# Enough lines to meet a few lines of text on a page, and short enough pieces of them to cost a twentieth of a decode.
_LINES = 40
_LINE_PX = 64
# Coprime to most sizes, so that the pieces are spread over the picture.
_STRIDE_PX = 7919


def has_fine_detail(image: Image, *, step: int) -> bool:
    """Return whether a picture in memory, of which a JPEG was shrunk by `step` at first, has detail as small as its
    pixels.
    """
    first = second = 0.0
    count = 0
    for line in _sampled_lines(image):
        slopes = list(map(operator.sub, line[1:], line))
        # A length and a distance are the quickest sums of squares that Python has.
        first += math.hypot(*slopes) ** 2
        second += math.dist(slopes[1:], slopes[:-1]) ** 2
        count += len(slopes[1:])
    return second >= _LEAST_RATIO * first > 0 or (step == 2 and second >= _LEAST_ENERGY_AT_HALF * count > 0)


def _sampled_lines(image: Image) -> Iterator[bytes]:
    """Yield pieces of rows and of columns, in one band: green, or grey."""
    width, height, bands = image.width, image.height, image.bands
    region = vips.library().Region.new(image)
    band = min(1, bands - 1)
    for number in range(_LINES):
        row, column = number * height // _LINES, _offset(number, width)
        yield bytes(region.fetch(column, row, min(_LINE_PX, width - column), 1))[band::bands]
    for number in range(_LINES):
        row, column = _offset(number, height), number * width // _LINES
        yield bytes(region.fetch(column, row, 1, min(_LINE_PX, height - row)))[band::bands]


def _offset(number: int, length: int) -> int:
    return number * _STRIDE_PX % max(1, length - _LINE_PX + 1)
