"""Finds out whether a picture whose container lacks its end has all its pixels, and completes a PNG that has.

A JPEG without its end marker is given one: libjpeg then reports missing pixels, and only those. libpng reports every
absent byte, so that a PNG's pixels are counted here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from darkroom.contract.errors import ImageCorruptError, ImageTruncatedError
from darkroom.imaging.containers import png

_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_CRC_BYTES = 4
_PIECE_BYTES = 64 * 1024
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row, and the steps between columns and rows, of each pass (PNG, 8.1).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_FAST = 1


def completed_png(body: bytes) -> bytes:
    """Return a PNG with its pixels' last bytes, its checksums and its end chunk, from one that lacks some of them.

    Where only the end chunk is missing, nothing else changes; else the pixels are deflated anew.

    Raises ImageTruncatedError where pixels are missing, ImageCorruptError where they cannot be inflated.
    """
    first, chunks = _pixel_chunks(body)
    if chunks and chunks[-1][1] + _CRC_BYTES <= len(body):
        check_png_pixels(body)
        return body + _chunk(b"IEND", b"")
    deflate = zlib.compressobj(_FAST)
    packed = [deflate.compress(piece) for piece in _inflated(body, chunks)]
    packed.append(deflate.flush())
    return b"".join((body[:first], _chunk(b"IDAT", b"".join(packed)), _chunk(b"IEND", b"")))


def check_png_pixels(body: bytes) -> None:
    """Raise what `completed_png` raises."""
    for _ in _inflated(body, _pixel_chunks(body)[1]):
        pass


def png_pixels_bytes(body: bytes) -> int:
    """Return how many bytes the pixels have when they are inflated: rows of samples, each with its filter's number."""
    width, height, depth, colour_type, _, _, interlace = _HEADER.unpack_from(body, len(png.SIGNATURE) + _CHUNK.size)
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * depth * _SAMPLES[colour_type] + 7) // 8)
    return total


def _pixel_chunks(body: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return where the first pixel chunk begins, and where the data of each begins and ends."""
    offset, first, chunks = len(png.SIGNATURE), 0, []
    while offset + _CHUNK.size <= len(body):
        size, kind = _CHUNK.unpack_from(body, offset)
        start = offset + _CHUNK.size
        if kind == b"IDAT":
            first = first or offset
            chunks.append((start, min(start + size, len(body))))
        offset = start + size + _CRC_BYTES
    return first, chunks


def _inflated(body: bytes, chunks: list[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the pixels in pieces: exactly as many bytes as there must be."""
    left = needed = png_pixels_bytes(body)
    inflate = zlib.decompressobj()
    try:
        for start, end in chunks:
            for offset in range(start, end, _PIECE_BYTES):
                waiting = body[offset : min(offset + _PIECE_BYTES, end)]
                while waiting and left > 0 and not inflate.eof:
                    piece = inflate.decompress(waiting, min(_PIECE_BYTES, left))
                    waiting = inflate.unconsumed_tail
                    left -= len(piece)
                    yield piece
    except zlib.error as exc:
        raise ImageCorruptError("the png picture is damaged: its pixels cannot be inflated") from exc
    if left > 0:
        raise ImageTruncatedError(
            f"the png picture ends early, after {len(body)} bytes: {left} of {needed} bytes of its pixels are missing"
        )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _CHUNK.pack(len(data), kind) + data + zlib.crc32(kind + data).to_bytes(4, "big")
