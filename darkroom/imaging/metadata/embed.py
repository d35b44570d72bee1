"""Writes metadata blocks into a picture that our own encoder has just made without any."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from darkroom.contract.errors import InternalError
from darkroom.contract.parameters.values import Format
from darkroom.imaging.geometry import Size
from darkroom.imaging.metadata import xmp
from darkroom.imaging.metadata.avif_items import with_items
from darkroom.imaging.metadata.blocks import Blocks

_EXIF_HEADER = b"Exif\x00\x00"


def embed(body: bytes, format: Format, blocks: Blocks, size: Size) -> bytes:
    """Return the picture with the blocks. A block that the format cannot hold is left out."""
    if not (blocks.exif or blocks.xmp or blocks.iptc):
        return body
    match format:
        case Format.JPEG:
            return _into_jpeg(body, blocks)
        case Format.PNG:
            return _into_png(body, blocks)
        case Format.WEBP:
            return _into_webp(body, blocks, size)
        case Format.AVIF:
            return with_items(body, exif=blocks.exif.removeprefix(_EXIF_HEADER), xmp=blocks.xmp)
        case Format.GIF:
            return _into_gif(body, blocks)
        case Format.KEEP | Format.HEIC:
            raise ValueError(f"{format} is not a format to write")


def _into_jpeg(body: bytes, blocks: Blocks) -> bytes:
    """Insert APP1 and APP13 segments after the start of image and JFIF's APP0 (CIPA DC-008, 4.5.4; ISO 16684-3)."""
    at = 2
    while body[at : at + 2] == b"\xff\xe0":
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    segments = b""
    if blocks.exif:
        segments += _segment(0xE1, blocks.exif)
    if blocks.xmp and len(blocks.xmp) <= xmp.MAX_JPEG_BYTES:
        segments += _segment(0xE1, xmp.JPEG_HEADER + blocks.xmp)
    if blocks.iptc:
        segments += _segment(0xED, blocks.iptc)
    return body[:at] + segments + body[at:]


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _into_png(body: bytes, blocks: Blocks) -> bytes:
    """Insert chunks after IHDR (PNG third edition, 11.3.2.4 for eXIf, 11.3.3.4 for iTXt; ISO 16684-3 for XMP)."""
    end_of_header = 8 + 25
    chunks = b""
    if blocks.exif:
        chunks += _png_chunk(b"eXIf", blocks.exif.removeprefix(_EXIF_HEADER))
    if blocks.xmp:
        chunks += _png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + blocks.xmp)
    return body[:end_of_header] + chunks + body[end_of_header:]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_WEBP_ALPHA, _WEBP_EXIF, _WEBP_XMP = 0x10, 0x08, 0x04


def _into_webp(body: bytes, blocks: Blocks, size: Size) -> bytes:
    """Append chunks, in the extended format (WebP Container Specification, "Extended File Format")."""
    chunks = list(_riff_chunks(body))
    flags = (_WEBP_EXIF if blocks.exif else 0) | (_WEBP_XMP if blocks.xmp else 0)
    if chunks[0][0] == b"VP8X":
        header = chunks.pop(0)[1]
        header = bytes([header[0] | flags]) + header[1:]
    else:
        kind, data = chunks[0]
        # VP8L's header has a bit for alpha (WebP Lossless Bitstream, 3.2); alpha of VP8 has a chunk of its own and so
        # is in the extended format.
        has_alpha = kind == b"VP8L" and bool(data[4] & 0x10)
        flags |= _WEBP_ALPHA if has_alpha else 0
        header = bytes([flags, 0, 0, 0]) + b"".join(
            (side - 1).to_bytes(3, "little") for side in (size.width, size.height)
        )
    chunks.insert(0, (b"VP8X", header))
    if blocks.exif:
        chunks.append((b"EXIF", blocks.exif.removeprefix(_EXIF_HEADER)))
    if blocks.xmp:
        chunks.append((b"XMP ", blocks.xmp))
    data = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(data)) + data


def _riff_chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 12
    while offset + 8 <= len(body):
        size = int.from_bytes(body[offset + 4 : offset + 8], "little")
        yield body[offset : offset + 4], body[offset + 8 : offset + 8 + size]
        offset += 8 + size + size % 2


def _into_gif(body: bytes, blocks: Blocks) -> bytes:
    """Insert an application extension before the trailer (ISO 16684-3, "GIF"). Its magic trailer leads readers of
    sub-blocks out of the packet.
    """
    if not blocks.xmp:
        return body
    if not body.endswith(b";"):
        raise InternalError("the encoded gif has no trailer")
    magic_trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    return body[:-1] + b"\x21\xff\x0bXMP DataXMP" + blocks.xmp + magic_trailer + b";"
