"""Walks the chunks of a WebP (RFC 9649, section 2)."""

from __future__ import annotations

import struct

from darkroom.imaging.containers import exif, icc
from darkroom.imaging.containers.contents import ColourDescription, Contents
from darkroom.imaging.containers.inflow import Steps
from darkroom.imaging.containers.walker import Walker
from darkroom.imaging.geometry import Size

_RIFF_HEADER_BYTES = 12
_CHUNK = struct.Struct("<4sI")
_FRAME_HEADER_BYTES = 16
_ALPHA, _ANIMATION = 0x10, 0x02
_METADATA_FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
_LOSSY_START = b"\x9d\x01\x2a"
_LOSSLESS_SIGNATURE = 0x2F
_MOST_METADATA_BYTES = 1024 * 1024
# The chunks that the decoder sees besides the pixels, each once, with the most bytes that one may have.
_KEPT = {
    b"VP8X": 10,
    b"ANIM": 6,
    b"ICCP": icc.MOST_BYTES,
    b"EXIF": _MOST_METADATA_BYTES,
    b"XMP ": _MOST_METADATA_BYTES,
    b"ALPH": 2**32,
}
_STORED_LAST = (b"EXIF", b"XMP ")


class WebpWalker(Walker):
    format = "webp"

    _canvas: Size | None = None
    _riff_end = 0
    _flags = 0
    _flags_start = 0
    _has_alpha = False
    _is_animated = False
    _frames = 0
    _lossless = False
    _fills_canvas = True
    _orientation = 1
    _has_icc = False
    _pixels_end = 0
    """Offset behind the data of the last picture chunk or frame."""
    _chunk_start = 0
    _walked = 0
    """Offset behind the last chunk that is of use."""
    _is_in_metadata = False
    """Whether the last chunk that came is metadata that is stored behind all pixels."""
    _is_counted_out = False
    """Whether the walk has ended because there are more frames than are counted."""

    def _walk(self) -> Steps[None]:
        self._kept: set[bytes] = set()
        inflow = self._inflow
        yield from inflow.need(_RIFF_HEADER_BYTES)
        self._riff_end = 8 + int.from_bytes(inflow.data[inflow.position + 4 : inflow.position + 8], "little")
        inflow.position += _RIFF_HEADER_BYTES
        while inflow.offset < self._riff_end or not self._pixels_end:
            if len(inflow.data) - inflow.position < _CHUNK.size:
                yield from inflow.need(_CHUNK.size)
            kind, size = _CHUNK.unpack_from(inflow.data, inflow.position)
            start = self._chunk_start = inflow.offset
            self._count_part()
            self._is_in_metadata = self._pixels_end > 0 and kind in _STORED_LAST
            # Chunks are padded to an even length (2.3).
            end = start + _CHUNK.size + size + (size & 1)
            inflow.position += _CHUNK.size
            if kind == b"ANMF":
                yield from self._frame(start, end, size)
                if self._frames >= self._counted_frames:
                    self._is_counted_out = True
                    return
            elif kind in (b"VP8 ", b"VP8L"):
                yield from self._picture(kind, start, end, size)
            elif kind in _KEPT:
                yield from self._known(kind, start, end, size)
            else:
                self._drop(start, end)
            inflow.position += end - inflow.offset
            self._walked = end

    def _known(self, kind: bytes, start: int, end: int, size: int) -> Steps[None]:
        inflow = self._inflow
        if kind in self._kept or size > _KEPT[kind]:
            self._drop(start, end)
            return
        self._kept.add(kind)
        if kind == b"VP8X":
            yield from self._extended_header(size)
        elif kind == b"ICCP":
            self._has_icc = True
        elif kind == b"EXIF":
            self._orientation = exif.orientation_of((yield from inflow.take(min(size, exif.MOST_BYTES))))

    def _extended_header(self, size: int) -> Steps[None]:
        """Read the extended header (2.7.1)."""
        if size < 10:
            raise self._corrupt(f"its extended header has {size} bytes, it must have 10")
        inflow = self._inflow
        data = yield from inflow.take(10)
        self._flags_start, self._flags = inflow.offset - 10, data[0]
        self._has_alpha = bool(data[0] & _ALPHA)
        self._is_animated = bool(data[0] & _ANIMATION)
        self._canvas = Size(
            width=1 + int.from_bytes(data[4:7], "little"), height=1 + int.from_bytes(data[7:10], "little")
        )
        self._checks.size(self._canvas)

    def _frame(self, start: int, end: int, size: int) -> Steps[None]:
        """Read the header of an animation's frame (2.7.1.1)."""
        if not self._is_animated:
            self._drop(start, end)
            return
        canvas = self._required_canvas()
        self._frames += 1
        self._checks.frames(canvas, self._frames)
        if self._frames >= self._counted_frames:
            return
        self._pixels_end = start + _CHUNK.size + size
        if self._frames > 1:
            if not self._checks.all_frames:
                self._drop(start, end)
            return
        inflow = self._inflow
        if size < _FRAME_HEADER_BYTES + _CHUNK.size:
            raise self._corrupt(f"its first frame has {size} bytes")
        yield from inflow.need(_FRAME_HEADER_BYTES + 4)
        header = inflow.data[inflow.position : inflow.position + _FRAME_HEADER_BYTES + 4]
        left, top, width, height = (int.from_bytes(header[offset : offset + 3], "little") for offset in (0, 3, 6, 9))
        self._fills_canvas = (left, top, width + 1, height + 1) == (0, 0, canvas.width, canvas.height)
        self._lossless = header.endswith(b"VP8L")

    def _picture(self, kind: bytes, start: int, end: int, size: int) -> Steps[None]:
        """Read the header of a still's pixels: RFC 6386, 9.1, or RFC 9649, 3.4."""
        if self._pixels_end or self._is_animated:
            self._drop(start, end)
            return
        inflow = self._inflow
        if size < 10:
            raise self._corrupt(f"its pixels have {size} bytes")
        data = yield from inflow.take(10)
        coded = self._lossless_size(data) if kind == b"VP8L" else self._lossy_size(data)
        self._checks.size(coded)
        if self._canvas is None:
            self._canvas = coded
        elif coded != self._canvas:
            raise self._corrupt(f"its pixels are {coded}, its header says {self._canvas}")
        self._frames, self._pixels_end = 1, start + _CHUNK.size + size

    def _lossless_size(self, data: bytes) -> Size:
        if data[0] != _LOSSLESS_SIGNATURE:
            raise self._corrupt("its lossless pixels have no signature")
        bits = int.from_bytes(data[1:5], "little")
        self._lossless = True
        if not self._flags_start:
            self._has_alpha = bool(bits >> 28 & 1)
        return Size(width=1 + (bits & 0x3FFF), height=1 + (bits >> 14 & 0x3FFF))

    def _lossy_size(self, data: bytes) -> Size:
        if data[0] & 1 or data[3:6] != _LOSSY_START:
            raise self._corrupt("its lossy pixels do not begin with a key frame")
        width, height = (int.from_bytes(data[offset : offset + 2], "little") & 0x3FFF for offset in (6, 8))
        if not (width and height):
            raise self._corrupt(f"its pixels are {width}x{height}")
        return Size(width=width, height=height)

    def _required_canvas(self) -> Size:
        if self._canvas is None:
            raise self._corrupt("it has a frame but no canvas")
        return self._canvas

    def _contents(self) -> Contents:
        total = self._inflow.total
        if not self._pixels_end:
            if total >= self._riff_end > _RIFF_HEADER_BYTES:
                raise self._corrupt("it has no pixels")
            raise self._truncated("its pixels are missing")
        if total < self._pixels_end:
            raise self._truncated(f"{self._pixels_end - total} bytes of its pixels are missing")
        if self._is_animated and total < self._riff_end and not self._is_counted_out:
            raise self._truncated(f"it says that it has {self._riff_end}, so that frames may be missing")
        self._finish_edits(total)
        return Contents(
            coded=self._required_canvas(),
            orientation=self._orientation,
            bands=4 if self._has_alpha else 3,
            has_alpha=self._has_alpha,
            frames=self._frames,
            lossless=self._lossless,
            fills_canvas=self._fills_canvas,
            colour=ColourDescription(has_icc=self._has_icc),
        )

    def _finish_edits(self, total: int) -> None:
        edits = self._edits
        if edits is None:
            return
        if self._walked <= total:
            edits.end(self._walked, b"")
        elif total >= self._pixels_end > self._chunk_start:
            edits.end(self._pixels_end, bytes(self._pixels_end & 1))
        else:
            # What is cut off behind the pixels goes as a whole.
            edits.end(self._chunk_start, b"")
            self._kept.difference_update(_STORED_LAST if self._is_in_metadata else ())
        if self._flags_start:
            absent = sum(flag for kind, flag in _METADATA_FLAGS.items() if kind not in self._kept)
            edits.replace(self._flags_start, bytes((self._flags & ~absent,)))
        edits.replace(4, (edits.length_after(total) - 8).to_bytes(4, "little"))

    def _drop(self, start: int, end: int) -> None:
        if self._edits is not None:
            self._edits.drop(start, end)
