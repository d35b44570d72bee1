"""Makes transparent what no frame of a GIF covers, as browsers do.

libnsgif shows it black, or in the background colour where a frame was disposed of, unless some frame has a transparent
colour.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from darkroom.imaging import vips
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.vips import Image

_SCREEN_FLAGS_OFFSET, _SCREEN_BYTES = 10, 13
_DESCRIPTOR = struct.Struct("<HHHHB")
_EXTENSION, _FRAME, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9


class _Disposal(IntEnum):
    """GIF89a, 23.c.iv."""

    KEEP = 1
    CLEAR = 2
    RESTORE = 3


@dataclass(frozen=True, kw_only=True)
class _Frame:
    area: Rect
    disposal: _Disposal


_Covered: TypeAlias = "Image | bool"
"""What is covered: all, nothing, or what is not zero in a mask."""


def with_transparent_canvas(strip: Image, frames: int, body: bytes) -> Image:
    """Add alpha to the frames of this GIF where they leave a part of the canvas open.

    With alpha the decoder has done so already.
    """
    if strip.hasalpha():
        return strip
    canvas = Size(width=strip.width, height=strip.height // frames)
    covered = list(_coverage(canvas, list(_frames_of(body))[:frames]))
    if all(one is True for one in covered):
        return strip
    alpha = vips.library().Image.arrayjoin([_mask(one, canvas) for one in covered], across=1)
    return (alpha > 0).ifthenelse(strip, 0).bandjoin(alpha)


def _coverage(canvas: Size, frames: list[_Frame]) -> Iterator[_Covered]:
    """Yield for each frame what it and those before it cover."""
    covered: _Covered = False
    for frame in frames:
        before, covered = covered, _painted(covered, frame.area, canvas, 255)
        yield covered
        if frame.disposal is _Disposal.CLEAR:
            covered = _painted(covered, frame.area, canvas, 0)
        elif frame.disposal is _Disposal.RESTORE:
            covered = before


def _painted(covered: _Covered, area: Rect, canvas: Size, value: int) -> _Covered:
    if covered is bool(value):
        return covered
    right, bottom = area.left + area.width, area.top + area.height
    if area.left == 0 and area.top == 0 and right >= canvas.width and bottom >= canvas.height:
        return bool(value)
    if min(area.width, area.height) == 0 or area.left >= canvas.width or area.top >= canvas.height:
        return covered
    return _mask(covered, canvas).draw_rect(value, area.left, area.top, area.width, area.height, fill=True)


def _mask(covered: _Covered, canvas: Size) -> Image:
    if not isinstance(covered, bool):
        return covered
    return (vips.library().Image.black(canvas.width, canvas.height) + (255 if covered else 0)).cast("uchar")


def _frames_of(body: bytes) -> Iterator[_Frame]:
    """Yield the frames (GIF89a, 20 and 23). The body has been walked before and is whole."""
    offset, disposal = _SCREEN_BYTES + _colours_bytes(body[_SCREEN_FLAGS_OFFSET]), _Disposal.KEEP
    while body[offset] in (_EXTENSION, _FRAME):
        if body[offset] == _EXTENSION:
            if body[offset + 1] == _GRAPHIC_CONTROL:
                disposal = _disposal_of(body[offset + 3])
            offset = _after_sub_blocks(body, offset + 2)
            continue
        left, top, width, height, flags = _DESCRIPTOR.unpack_from(body, offset + 1)
        yield _Frame(area=Rect(left=left, top=top, width=width, height=height), disposal=disposal)
        disposal = _Disposal.KEEP
        # One more byte for the least code size.
        offset = _after_sub_blocks(body, offset + 1 + _DESCRIPTOR.size + _colours_bytes(flags) + 1)


def _disposal_of(flags: int) -> _Disposal:
    """Return the disposal of a graphic control extension; 4 was once documented as 3."""
    match flags >> 2 & 7:
        case 2:
            return _Disposal.CLEAR
        case 3 | 4:
            return _Disposal.RESTORE
        case _:
            return _Disposal.KEEP


def _after_sub_blocks(body: bytes, offset: int) -> int:
    while body[offset]:
        offset += 1 + body[offset]
    return offset + 1


def _colours_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
