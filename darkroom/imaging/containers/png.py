"""Walks the chunks of a PNG (PNG specification, third edition, sections 5 and 11)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from darkroom.contract.errors import InputUnsupportedError
from darkroom.imaging.containers import exif, icc
from darkroom.imaging.containers.contents import CodePoints, ColourDescription, Contents
from darkroom.imaging.containers.inflow import Steps
from darkroom.imaging.containers.walker import Walker
from darkroom.imaging.geometry import Size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_MOST_CHUNK_BYTES = 2**31 - 1
_CRC_BYTES = 4
IEND_CHUNK = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# Bits per sample that each colour type allows (table 11.1), and its bands.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_BANDS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PALETTE_TYPE = 3
_ALPHA_TYPES = (4, 6)
# The chunks that the decoder sees besides the pixels, each once, with the most bytes that one may have. The rest is
# left out unread: text that would be inflated, animations, private data.
_KEPT = {
    b"PLTE": 3 * 256,
    b"tRNS": 256,
    b"iCCP": icc.MOST_BYTES,
    b"sRGB": 1,
    b"gAMA": 4,
    b"cHRM": 32,
    b"cICP": 4,
    b"pHYs": 9,
    b"eXIf": 1024 * 1024,
    b"iTXt": 1024 * 1024,
}
_COMPRESSED = (b"zTXt", b"iCCP", b"iTXt")
_READ_WHOLE = (b"sRGB", b"gAMA", b"cHRM", b"cICP")
_XMP = b"XML:com.adobe.xmp\x00"
_LONGEST_KEYWORD = 80
# zlib's checksum at the end of the pixels.
_ADLER_BYTES = 4


class PngWalker(Walker):
    format = "png"
    # Pixels may come in chunks of a few hundred bytes.
    most_parts = 100_000

    _size: Size | None = None
    _depth = 8
    _type = 0
    _interlaced = False
    _has_transparency = False
    _palette_colours = 0
    _orientation = 1
    _compressed_bytes = 0
    _pixels_start = 0
    """Offset of the first IDAT chunk."""
    _pixels_end = 0
    """Offset behind the data of the last IDAT chunk, its checksum not included."""
    _pixels_are_followed = False
    _ended = False

    def _walk(self) -> Steps[None]:
        self._kept: set[bytes] = set()
        self._colour = ColourDescription()
        inflow = self._inflow
        yield from inflow.need(len(SIGNATURE))
        inflow.position += len(SIGNATURE)
        yield from self._header()
        while True:
            if len(inflow.data) - inflow.position < _CHUNK.size:
                yield from inflow.need(_CHUNK.size)
            size, kind = _CHUNK.unpack_from(inflow.data, inflow.position)
            start = inflow.offset
            end = start + _CHUNK.size + size + _CRC_BYTES
            self._count_part()
            if kind == b"IDAT":
                self._pixels(start, end)
                # The chunks of the same length behind it, as encoders write them, at a tenth of the cost.
                end += self._equal_chunks(start, end)
            elif kind == b"IEND":
                self._ended = True
                self._end_at(start)
                return
            elif not kind.isalpha() or size > _MOST_CHUNK_BYTES:
                if self._pixels_end:
                    self._end_at(start)
                    return
                raise self._corrupt(f"a chunk has the type {kind!r} and {size} bytes")
            elif kind in _KEPT:
                yield from self._known(kind, start, size)
                inflow.position += end - inflow.offset
                continue
            else:
                self._unknown(kind, start, end, size)
            inflow.position += end - start

    def _header(self) -> Steps[None]:
        """Read the header chunk (11.2.1)."""
        inflow = self._inflow
        yield from inflow.need(_CHUNK.size)
        size, kind = _CHUNK.unpack_from(inflow.data, inflow.position)
        if kind == b"CgBI":
            raise InputUnsupportedError("the png picture is in Apple's own variant (CgBI); store it as a standard png")
        if (size, kind) != (13, b"IHDR"):
            raise self._corrupt("it does not begin with a header chunk")
        yield from inflow.need(_CHUNK.size + size + _CRC_BYTES)
        width, height, depth, kind_of_colour, compression, filtering, interlace = struct.unpack_from(
            ">IIBBBBB", inflow.data, inflow.position + _CHUNK.size
        )
        if not 0 < width <= _MOST_CHUNK_BYTES or not 0 < height <= _MOST_CHUNK_BYTES:
            raise self._corrupt(f"its size is {width}x{height}")
        if depth not in _DEPTHS.get(kind_of_colour, ()):
            raise self._corrupt(f"it has colour type {kind_of_colour} with {depth} bits per sample")
        if compression or filtering or interlace > 1:
            raise self._corrupt("its compression, filter or interlacing is unknown")
        self._size = Size(width=width, height=height)
        self._checks.size(self._size)
        self._depth, self._type, self._interlaced = depth, kind_of_colour, bool(interlace)
        inflow.position += _CHUNK.size + size + _CRC_BYTES

    def _pixels(self, start: int, end: int) -> None:
        if not self._pixels_end:
            if self._type == _PALETTE_TYPE and not self._palette_colours:
                raise self._corrupt("its palette is missing")
            self._pixels_start = start
        if not self._pixels_are_followed:
            self._pixels_end = end - _CRC_BYTES

    def _equal_chunks(self, start: int, end: int) -> int:
        """Count the pixel chunks that have come whole and are as long as the one before `end`; return their length."""
        data, position, length = self._inflow.data, self._inflow.position, end - start
        head = data[position : position + _CHUNK.size]
        first = position = position + length
        last = len(data) - length
        while position <= last and data.startswith(head, position):
            self._count_part()
            position += length
        if position > first and not self._pixels_are_followed:
            self._pixels_end += position - first
        return position - first

    def _known(self, kind: bytes, start: int, size: int) -> Steps[None]:
        inflow = self._inflow
        end = start + _CHUNK.size + size + _CRC_BYTES
        self._note(kind, size)
        is_kept = kind not in self._kept and size <= _KEPT[kind] and not self._pixels_end
        inflow.position += _CHUNK.size
        if kind == b"eXIf" and is_kept:
            self._orientation = exif.orientation_of((yield from inflow.take(min(size, exif.MOST_BYTES))))
        elif kind == b"iCCP":
            beginning = yield from inflow.take(min(size, _LONGEST_KEYWORD + 200))
            is_kept = is_kept and _is_small_profile(beginning)
        elif kind == b"iTXt" and is_kept:
            is_kept = yield from self._is_small_packet(size)
        elif is_kept and kind in _READ_WHOLE:
            data = yield from inflow.take(size)
            yield from inflow.need(_CRC_BYTES)
            checksum = inflow.data[inflow.position : inflow.position + _CRC_BYTES]
            # The decoder too takes no notice of one that is damaged.
            is_kept = len(data) == _KEPT[kind] and zlib.crc32(kind + data).to_bytes(_CRC_BYTES, "big") == checksum
            if is_kept:
                self._describe(kind, data)
        if not is_kept:
            self._drop(start, end)
            return
        self._kept.add(kind)
        if kind == b"PLTE":
            self._palette_colours = size // 3
        elif kind == b"tRNS":
            self._has_transparency = self._type not in _ALPHA_TYPES
        elif kind == b"iCCP":
            self._colour = replace(self._colour, has_icc=True)

    def _is_small_packet(self, size: int) -> Steps[bool]:
        """Return whether a text is an XMP packet of moderate size. It is inflated only if the decoder will do so."""
        inflow = self._inflow
        beginning = yield from inflow.take(min(size, len(_XMP) + 1))
        if not beginning.startswith(_XMP) or self._edits is None:
            return False
        if beginning.endswith(b"\x00"):
            return True
        rest = yield from inflow.take(size - len(beginning))
        # Behind the compression method come a language and a translated keyword (11.3.3.4).
        return _inflates_to_at_most(rest[1:].split(b"\x00", 2)[-1], _KEPT[b"iTXt"])

    def _describe(self, kind: bytes, data: bytes) -> None:
        """Note what a chunk says about colour (11.3.2)."""
        if kind == b"sRGB":
            self._colour = replace(self._colour, srgb_intent=data[0])
        elif kind == b"gAMA":
            self._colour = replace(self._colour, gamma=int.from_bytes(data, "big"))
        elif kind == b"cHRM":
            self._colour = replace(self._colour, chromaticities=struct.unpack(">8I", data))
        else:
            points = CodePoints(primaries=data[0], transfer=data[1], matrix=data[2], full_range=bool(data[3]))
            self._colour = replace(self._colour, code_points=points)

    def _unknown(self, kind: bytes, start: int, end: int, size: int) -> None:
        if kind[0:1].isupper() and not self._pixels_end:
            raise self._corrupt(f"it has a critical chunk of the unknown type {kind!r}")
        self._note(kind, size)
        self._drop(start, end)

    def _note(self, kind: bytes, size: int) -> None:
        if kind in _COMPRESSED:
            self._compressed_bytes += size
        if self._pixels_end:
            # Pixels stand together (5.6), so these are all.
            self._pixels_are_followed = True

    def _contents(self) -> Contents:
        if self._size is None:
            raise self._truncated("its header is missing")
        if not self._pixels_end:
            if self._ended:
                raise self._corrupt("it has no pixels")
            raise self._truncated("its pixels are missing")
        missing = self._pixels_end - self._inflow.total
        if missing > _ADLER_BYTES:
            raise self._truncated(f"{missing} bytes of its pixels are missing")
        if not self._ended:
            self._end_at(self._inflow.total)
        bands = _BANDS[self._type] + self._has_transparency
        return Contents(
            coded=self._size,
            orientation=self._orientation,
            bands=bands,
            has_alpha=bands in (2, 4),
            bits=max(8, self._depth),
            progressive=self._interlaced,
            lossless=True,
            palette_colours=self._palette_colours if self._type == _PALETTE_TYPE else 0,
            compressed_metadata_bytes=self._compressed_bytes,
            colour=self._colour,
            ends=self._ended or self._pixels_are_followed,
        )

    def _end_at(self, offset: int) -> None:
        if self._edits is not None:
            self._edits.end(offset, IEND_CHUNK)

    def _drop(self, start: int, end: int) -> None:
        if self._edits is not None:
            self._edits.drop(start, end)


def _inflates_to_at_most(data: bytes, most_bytes: int) -> bool:
    inflate = zlib.decompressobj()
    try:
        return len(inflate.decompress(data, most_bytes)) <= most_bytes and inflate.eof
    except zlib.error:
        return False


def _is_small_profile(beginning: bytes) -> bool:
    """Return whether a compressed profile is no larger than allowed: its first four bytes say how large it is."""
    _, found, compressed = beginning.partition(b"\x00")
    if not found:
        return False
    try:
        size = zlib.decompressobj().decompress(compressed[1:], 4)
    except zlib.error:
        return False
    return len(size) == 4 and int.from_bytes(size, "big") <= icc.MOST_BYTES
