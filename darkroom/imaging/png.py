"""PNG as an encoder sees it: filters, and deflating an original's rows anew."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_SAMPLES = 3
# The rows of each sample. Most photographs are told by an eighth of them, where filters make much of a difference.
_FEW_ROWS, _MANY_ROWS = 4, 32
_CLEARLY_LARGER, _FAST = 1.25, 1
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = (1, 2, 4, 8)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def suits_no_filter(image: Image) -> bool:
    """Return whether deflate compresses the rows better than their differences: flat graphics do, photographs do not.

    Both are tried on a few rows. The filters' own heuristic (PNG third edition, 12.7) is wrong for flat graphics.
    """
    if image.height > _MANY_ROWS * _SAMPLES:
        rows = _few_rows(image)
        plain, differences = (len(zlib.compress(data, _FAST)) for data in (rows, _differences(rows, image.bands)))
        if plain > _CLEARLY_LARGER * differences:
            return False
    sample = _sample(image)
    plain, filtered = (
        len(vips.save(Format.PNG, sample, keep="none", compression=3, filter=name)) for name in ("none", "sub")
    )
    return plain <= filtered


def _few_rows(image: Image) -> bytes:
    width, area = image.width, vips.area_reader(image)
    tops = (part * image.height // _SAMPLES for part in range(_SAMPLES))
    return b"".join(area(0, top, width, _FEW_ROWS) for top in tops)


def _differences(samples: bytes, bands: int) -> bytes:
    """Return each sample less the one of the pixel before, modulo 256, as PNG's filter `sub` does (9.2).

    All bytes at once, as one long number: their highest bits are kept apart, so that none borrows from the next.
    """
    high = int.from_bytes(b"\x80" * len(samples), "big")
    these = int.from_bytes(samples, "big")
    before = these >> 8 * bands
    low = (these | high) - (before & ~high)
    return (low ^ ((these ^ ~before) & high)).to_bytes(len(samples), "big")


def _sample(image: Image) -> Image:
    if image.height <= _MANY_ROWS * _SAMPLES:
        return image
    step = (image.height - _MANY_ROWS) // (_SAMPLES - 1)
    bands = [image.extract_area(0, step * index, image.width, _MANY_ROWS) for index in range(_SAMPLES)]
    return vips.library().Image.arrayjoin(bands, across=1)


def with_colours(image: Image, bits: int, dither: float) -> tuple[Image, int]:
    """Return the picture reduced to `2 ** bits` colours, and the bits per pixel of a PNG for it: 1, 2, 4 or 8.

    PNG's saver reduces colours itself, but to none of the numbers between. For those of an opaque picture GIF's saver
    does it. GIF has no translucent colours, so that a picture with alpha gets the next lower number.
    """
    depth = next(depth for depth in _DEPTHS if depth >= bits)
    if depth == bits:
        return image, depth
    if image.hasalpha():
        return image, max(lower for lower in _DEPTHS if lower < bits)
    reduced = vips.load(Format.GIF, vips.save(Format.GIF, image, keep="none", bitdepth=bits, dither=dither))
    return reduced.copy_memory(), depth


def deflated_anew(original: bytes) -> Iterator[Callable[[], bytes]]:
    """Yield encodings of the original's rows, deflated as well as zlib can: none where the original's pixels are not
    those of a result, or are stored in a way that is left to libvips (more than 8 bits, interlaced).

    Nothing of the original is kept but its filtered rows and its palette. libvips' deflate is fast, and its best is
    often a few percent worse than zlib's.
    """
    chunks = dict(_chunks(original))
    header = chunks.get(b"IHDR", b"")
    rows = _rows(header, chunks.get(b"IDAT", b"")) if len(header) == 13 and _is_plain_srgb(chunks) else None
    if rows is None:
        return
    kept: list[tuple[bytes, bytes]] = [(kind, chunks[kind]) for kind in (b"PLTE", b"tRNS") if kind in chunks]
    for strategy, memory in _DEFLATE:
        yield partial(_deflated, header, kept, rows, strategy, memory)


_DEFLATE = (
    (zlib.Z_DEFAULT_STRATEGY, 9),
    (zlib.Z_FILTERED, 9),
    (zlib.Z_DEFAULT_STRATEGY, 8),
    (zlib.Z_RLE, 9),
)
"""Strategies and memory levels; which is best depends on the picture."""


def _deflated(header: bytes, kept: list[tuple[bytes, bytes]], rows: bytes, strategy: int, memory: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 15, memory, strategy)
    data = compressor.compress(rows) + compressor.flush()
    parts = [(b"IHDR", header), *kept, (b"IDAT", data), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _is_plain_srgb(chunks: dict[bytes, bytes]) -> bool:
    says_otherwise = {b"iCCP", b"cICP"} | (set() if b"sRGB" in chunks else {b"gAMA", b"cHRM"})
    return not says_otherwise & chunks.keys()


def _rows(header: bytes, data: bytes) -> bytes | None:
    bits, colour, interlace = header[8], header[9], header[12]
    if bits > 8 or interlace or colour not in _CHANNELS:
        return None
    width, height = struct.unpack(">II", header[:8])
    size = height * (1 + (width * bits * _CHANNELS[colour] + 7) // 8)
    try:
        rows = zlib.decompressobj().decompress(data, size)
    except zlib.error:
        return None
    return rows if len(rows) == size else None


def _chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks by kind; of IDAT, all of them joined."""
    offset, data = len(_SIGNATURE), []
    while offset + 12 <= len(body):
        size = int.from_bytes(body[offset : offset + 4], "big")
        kind, content = body[offset + 4 : offset + 8], body[offset + 8 : offset + 8 + size]
        if kind == b"IDAT":
            data.append(content)
        elif kind in {b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"cICP", b"gAMA", b"cHRM", b"sRGB"}:
            yield kind, content
        offset += 12 + size
    yield b"IDAT", b"".join(data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
