"""The jobs from which the costs are fitted, and those with which a plan is compared. No job is in both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

from darkroom.contract.limits import MEGAPIXEL
from darkroom.contract.parameters.values import Format
from darkroom.imaging.photograph import make_photograph, photograph

_ASPECT = 4 / 3


@dataclass(frozen=True, kw_only=True)
class Case:
    megapixels: float
    width_px: int
    """Of the result."""
    jobs: int
    read: Format = Format.JPEG
    written: Format = Format.JPEG

    @property
    def name(self) -> str:
        return f"{self.read} of {self.megapixels:g} MP to {self.written} {self.width_px} px wide"

    @property
    def size(self) -> tuple[int, int]:
        height = round(sqrt(self.megapixels * MEGAPIXEL / _ASPECT))
        return round(height * _ASPECT), height

    @property
    def parameters(self) -> dict[str, Any]:
        return {"width": self.width_px, "format": str(self.written)}

    @property
    def content_type(self) -> str:
        return f"image/{self.read}"

    @property
    def megapixels_out(self) -> float:
        width, height = self.size
        return self.width_px * round(self.width_px * height / width) / MEGAPIXEL

    def picture(self) -> bytes:
        return _encoded(self.size, self.read)


@cache
def _encoded(size: tuple[int, int], format: Format) -> bytes:
    if format is Format.JPEG:
        return make_photograph(*size, seed=7)
    picture = photograph(*size, seed=7)
    match format:
        case Format.PNG:
            return bytes(picture.pngsave_buffer())
        case Format.WEBP:
            return bytes(picture.webpsave_buffer(Q=85))
        case Format.AVIF:
            return bytes(picture.heifsave_buffer(Q=60, compression="av1", effort=1))
    raise ValueError(f"no case reads {format}")


FITTED = (
    Case(megapixels=0.3, width_px=128, jobs=150),
    Case(megapixels=0.3, width_px=512, jobs=120),
    Case(megapixels=3, width_px=200, jobs=100),
    Case(megapixels=3, width_px=640, jobs=100),
    Case(megapixels=3, width_px=1400, jobs=60),
    Case(megapixels=3, width_px=640, jobs=60, written=Format.WEBP),
    Case(megapixels=3, width_px=1400, jobs=40, written=Format.WEBP),
    Case(megapixels=3, width_px=640, jobs=60, written=Format.PNG),
    Case(megapixels=3, width_px=512, jobs=60, read=Format.WEBP),
    Case(megapixels=1, width_px=512, jobs=50, read=Format.PNG),
    Case(megapixels=4, width_px=512, jobs=30, read=Format.PNG),
    Case(megapixels=3, width_px=640, jobs=40, written=Format.AVIF),
    Case(megapixels=1.5, width_px=512, jobs=30, read=Format.AVIF),
    Case(megapixels=10, width_px=400, jobs=50),
    Case(megapixels=10, width_px=1600, jobs=40),
)
"""Small pictures first: an instance keeps memory that a large one needed."""

REFERENCE = Case(megapixels=2, width_px=512, jobs=60)
"""Runs in turns with each other case, to tell how fast the machine is. A shared one is by turns a fifth faster and
slower."""

CHECKED = (
    Case(megapixels=1.2, width_px=320, jobs=200),
    Case(megapixels=5, width_px=800, jobs=120),
)
