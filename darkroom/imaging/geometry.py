"""Sizes and positions, and their arithmetic: whole numbers and fractions, no pixels.

All are in pixels of the oriented picture, before or after scaling; `to_stored` converts them for a picture that is
stored in another orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from darkroom.contract.parameters.gravity import Compass, FocalPoint, Gravity


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def turned(self) -> Size:
        return Size(width=self.height, height=self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A size whose last column and row may be covered only in part."""

    width: Fraction
    height: Fraction

    @classmethod
    def of(cls, size: Size, shrunk_by: int = 1) -> Extent:
        return cls(width=Fraction(size.width, shrunk_by), height=Fraction(size.height, shrunk_by))


@dataclass(frozen=True, kw_only=True)
class Rect:
    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)


def to_stored(rect: Rect, oriented: Size, orientation: int) -> Rect:
    """Convert a rectangle of the oriented picture to the stored one (EXIF 2.32, 4.6.4, tag 0x0112)."""
    right = oriented.width - rect.left - rect.width
    bottom = oriented.height - rect.top - rect.height
    left, top = {
        1: (rect.left, rect.top),
        2: (right, rect.top),
        3: (right, bottom),
        4: (rect.left, bottom),
        5: (rect.top, rect.left),
        6: (rect.top, right),
        7: (bottom, right),
        8: (bottom, rect.left),
    }[orientation]
    if is_turned(orientation):
        return Rect(left=left, top=top, width=rect.height, height=rect.width)
    return Rect(left=left, top=top, width=rect.width, height=rect.height)


def is_turned(orientation: int) -> bool:
    """Return whether the orientation swaps width and height."""
    return orientation >= 5


def placed(size: Size, within: Size, gravity: Gravity) -> Rect:
    room_across, room_down = within.width - size.width, within.height - size.height
    if isinstance(gravity, FocalPoint):
        left = clamped(rounded(Fraction(gravity.x) * within.width - Fraction(size.width, 2)), room_across)
        top = clamped(rounded(Fraction(gravity.y) * within.height - Fraction(size.height, 2)), room_down)
    else:
        across, down = _COMPASS_HALVES.get(str(gravity), (1, 1))
        left, top = room_across * across // 2, room_down * down // 2
    return Rect(left=left, top=top, width=size.width, height=size.height)


_COMPASS_HALVES: dict[str, tuple[int, int]] = {
    Compass.NORTHWEST: (0, 0),
    Compass.NORTH: (1, 0),
    Compass.NORTHEAST: (2, 0),
    Compass.WEST: (0, 1),
    Compass.CENTRE: (1, 1),
    Compass.EAST: (2, 1),
    Compass.SOUTHWEST: (0, 2),
    Compass.SOUTH: (1, 2),
    Compass.SOUTHEAST: (2, 2),
}


def scaled_by(size: Size, scale: Fraction) -> Size:
    """Scale both sides, rounding by at most half a pixel each, and to at least one pixel."""
    return Size(width=max(1, rounded(size.width * scale)), height=max(1, rounded(size.height * scale)))


def at_least(size: Size, least: Size) -> Size:
    return Size(width=max(size.width, least.width), height=max(size.height, least.height))


def at_origin(size: Size) -> Rect:
    return Rect(left=0, top=0, width=size.width, height=size.height)


def rounded(value: Fraction | int) -> int:
    """Round halves up; Python's own `round` goes to the even number."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def clamped(value: int, most: int) -> int:
    return max(0, min(value, most))


def clamped_side(value: int, most: int) -> int:
    return max(1, min(value, most))
