"""Walks the blocks of a GIF (GIF89a specification, sections 15 to 27)."""

from __future__ import annotations

import re
import struct

from darkroom.imaging.containers.contents import Contents
from darkroom.imaging.containers.inflow import Steps
from darkroom.imaging.containers.walker import Walker
from darkroom.imaging.geometry import Size

_SCREEN = struct.Struct("<6sHHBBB")
_DESCRIPTOR = struct.Struct("<HHHHB")
_EXTENSION, _IMAGE, _TRAILER, _PADDING = 0x21, 0x2C, 0x3B, 0x00
_NO_PADDING = re.compile(rb"[^\x00]")
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_TRANSPARENT, _INTERLACED = 0x01, 0x40
_LOOP_APPLICATIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_END = b";"
# Sizes of screens, not of pictures: with these the decoder (libnsgif, gif.c) takes the first frame's size.
_SCREEN_SIZES = {(640, 480), (640, 512), (800, 600), (1024, 768), (1280, 1024), (1600, 1200)}
_LARGEST_SCREEN_PX = 2048


class GifWalker(Walker):
    format = "gif"

    _screen = Size(width=1, height=1)
    _canvas = _screen
    _frames = 0
    _has_transparency = False
    _interlaced = False
    _loops = False
    _palette_colours = 0
    _fills_canvas = True
    _is_transparent = False
    """Whether the next frame has a transparent colour."""
    _is_in_block = False
    _ended = False

    def _walk(self) -> Steps[None]:
        inflow = self._inflow
        yield from self._screen_descriptor()
        while True:
            yield from inflow.need(1)
            self._count_part()
            introducer = inflow.data[inflow.position]
            start = inflow.offset
            if introducer == _EXTENSION:
                self._is_in_block = True
                yield from self._extension(start)
                self._is_in_block = False
            elif introducer == _IMAGE:
                self._is_in_block = True
                yield from self._frame()
                self._is_in_block = False
                if self._frames >= self._counted_frames:
                    self._ended = True
                    return
            elif introducer == _PADDING:
                inflow.position = _end_of_padding(inflow.data, inflow.position)
                self._drop(start, inflow.offset)
            elif introducer == _TRAILER or self._frames:
                # Anything but a block ends the picture, as it does for decoders.
                self._ended = True
                self._end_at(start)
                return
            else:
                raise self._corrupt(f"a block begins with {introducer:#04x}")

    def _screen_descriptor(self) -> Steps[None]:
        inflow = self._inflow
        yield from inflow.need(_SCREEN.size)
        _, width, height, flags, _, _ = _SCREEN.unpack_from(inflow.data, inflow.position)
        inflow.position += _SCREEN.size + _colours_bytes(flags)
        is_broken = (width, height) in _SCREEN_SIZES or 0 in (width, height) or max(width, height) > _LARGEST_SCREEN_PX
        if not is_broken:
            self._screen = Size(width=width, height=height)
        self._palette_colours = _colours_bytes(flags) // 3

    def _extension(self, start: int) -> Steps[None]:
        """Walk an extension (23 to 26). Comments, texts and foreign applications are left out."""
        inflow = self._inflow
        yield from inflow.need(3)
        label, size = inflow.data[inflow.position + 1], inflow.data[inflow.position + 2]
        is_kept = False
        if label == _GRAPHIC_CONTROL and size == 4:
            yield from inflow.need(4)
            self._is_transparent = bool(inflow.data[inflow.position + 3] & _TRANSPARENT)
            is_kept = True
        elif label == _APPLICATION and size == 11 and not self._loops:
            yield from inflow.need(14)
            self._loops = is_kept = inflow.data[inflow.position + 3 : inflow.position + 14] in _LOOP_APPLICATIONS
        inflow.position += 2
        yield from self._sub_blocks()
        if not is_kept:
            self._drop(start, inflow.offset)

    def _frame(self) -> Steps[None]:
        """Walk a frame: its descriptor, colours and pixels (20 to 22)."""
        inflow = self._inflow
        yield from inflow.need(1 + _DESCRIPTOR.size)
        left, top, width, height, flags = _DESCRIPTOR.unpack_from(inflow.data, inflow.position + 1)
        self._note_frame(left, top, Size(width=width, height=height), flags)
        # One more byte for the least code size.
        inflow.position += 1 + _DESCRIPTOR.size + _colours_bytes(flags) + 1
        yield from self._sub_blocks()
        if self._frames == 1 and not self._checks.all_frames:
            self._end_at(inflow.offset)

    def _note_frame(self, left: int, top: int, size: Size, flags: int) -> None:
        self._frames += 1
        self._has_transparency = self._has_transparency or self._is_transparent
        self._interlaced = self._interlaced or bool(flags & _INTERLACED)
        self._is_transparent = False
        if self._frames == 1:
            # The decoder enlarges the canvas for the first frame, and cuts the others.
            declared = self._screen
            self._canvas = Size(
                width=max(declared.width, left + size.width), height=max(declared.height, top + size.height)
            )
            self._fills_canvas = (left, top, size) == (0, 0, self._canvas)
            self._palette_colours = _colours_bytes(flags) // 3 or self._palette_colours
            self._checks.size(self._canvas)
        self._checks.frames(self._canvas, self._frames)

    def _sub_blocks(self) -> Steps[None]:
        """Skip data sub-blocks up to the empty one (15 and 16)."""
        inflow = self._inflow
        while True:
            data, position = inflow.data, inflow.position
            length = len(data)
            while position < length:
                size = data[position]
                position += size + 1
                if not size:
                    inflow.position = position
                    return
            inflow.position = position
            yield

    def _contents(self) -> Contents:
        if self._frames == 0:
            if self._ended:
                raise self._corrupt("it has no frame")
            raise self._truncated("its first frame is missing")
        if self._is_in_block:
            raise self._truncated(f"frame {self._frames} or what follows it is cut off")
        if not self._ended and (self._frames > 1 or self._loops):
            # One that is cut between two frames is a valid animation, but for its trailer.
            raise self._truncated("its trailer is missing, so that frames may be missing")
        self._end_at(self._inflow.total)
        return Contents(
            coded=self._canvas,
            bands=4 if self._has_transparency else 3,
            has_alpha=self._has_transparency,
            frames=self._frames,
            progressive=self._interlaced,
            lossless=True,
            palette_colours=self._palette_colours,
            fills_canvas=self._fills_canvas,
        )

    def _end_at(self, offset: int) -> None:
        if self._edits is not None:
            self._edits.end(offset, _END)

    def _drop(self, start: int, end: int) -> None:
        if self._edits is not None:
            self._edits.drop(start, end)


def _end_of_padding(data: bytes, position: int) -> int:
    found = _NO_PADDING.search(data, position)
    return len(data) if found is None else found.start()


def _colours_bytes(flags: int) -> int:
    """Return the size in bytes of the colour table that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
