"""Tells text and drawings from photographs, by a sample of what became of a picture that a decoder has shrunk.

What is lost by shrinking in the decoder is detail of about the size of a pixel. A photograph has little of it, text and
patterns have much. How much lies at that size shows in the ratio of two energies: that of the second differences
between neighbouring pixels over that of the first. It is 3 for noise and 0 for a slope; of what was measured, it is
below 2.1 for most photographs at a quarter of their size and above for text, textures and a zone plate
(benchmarks/results/imaging.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_LEAST_RATIO = 2.1
# Large letters, and a few of them, may look like a photograph by the ratio, but their edges are harder: in squared
# levels of the second differences, by step. Of what was measured, photographs at a quarter and less have at most 2,400.
_LEAST_ENERGY = {2: 800, 4: 3000, 8: 3000}
# Enough lines to meet a few lines of text on a page, and short enough pieces of them to cost a twentieth of a decode.
_LINES = 40
_LINE_PX = 64
# After so many pieces that are not of one colour, most photographs are known by less than this part of the limits.
_TELLING_PIECES, _CLEARLY_LESS = 20, 0.8
# Coprime to most sizes and to the number of lines, so that the pieces, and the first of them, are spread.
_STRIDE_PX = 7919


def has_fine_detail(image: Image, *, step: int) -> bool:
    """Return whether a picture in memory, of which a JPEG was shrunk by `step` at first, has detail as small as its
    pixels.
    """
    energies = _Energies()
    telling = 0
    for line in _sampled_lines(image):
        if energies.add(line):
            telling += 1
            if telling == _TELLING_PIECES and not energies.exceed(_CLEARLY_LESS, step):
                return False
    return energies.exceed(1, step)


@dataclass
class _Energies:
    first: int = 0
    second: int = 0
    count: int = 0

    def add(self, line: bytes) -> bool:
        """Add those of a line, if it has any, and return whether it has."""
        pixels = tuple(line)
        # A distance is the quickest sum of squares that Python has.
        first = round(math.dist(pixels[1:], pixels[:-1]) ** 2)
        if first == 0:
            return False
        # With the slopes s: (s[i+1] - s[i])^2 = 2 s[i]^2 + 2 s[i+1]^2 - (s[i] + s[i+1])^2, and s[i] + s[i+1] is the
        # difference of the pixels on both sides. All but the outermost slopes are counted twice.
        at_ends = (pixels[1] - pixels[0]) ** 2 + (pixels[-1] - pixels[-2]) ** 2
        self.first += first
        self.second += 4 * first - 2 * at_ends - round(math.dist(pixels[2:], pixels[:-2]) ** 2)
        self.count += len(pixels) - 2
        return True

    def exceed(self, part: float, step: int) -> bool:
        """Return whether they exceed that part of the limits."""
        has_ratio = self.second >= part * _LEAST_RATIO * self.first > 0
        return has_ratio or self.second >= part * _LEAST_ENERGY[step] * self.count > 0


def _sampled_lines(image: Image) -> Iterator[bytes]:
    """Yield pieces of rows and of columns in turn, in one band: green, or grey."""
    width, height, bands = image.width, image.height, image.bands
    area = vips.area_reader(image)
    band = min(1, bands - 1)
    for number in range(_LINES):
        line = number * _STRIDE_PX % _LINES
        row, column = line * height // _LINES, _offset(line, width)
        yield area(column, row, min(_LINE_PX, width - column), 1)[band::bands]
        row, column = _offset(line, height), line * width // _LINES
        yield area(column, row, 1, min(_LINE_PX, height - row))[band::bands]


def _offset(number: int, length: int) -> int:
    return number * _STRIDE_PX % max(1, length - _LINE_PX + 1)
