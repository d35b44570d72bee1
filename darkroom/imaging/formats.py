"""Detects a picture's format from its bytes, and knows what each format can hold. The file name is never used.

Pure bytes: nothing here decodes, and libvips sees a body only after it has passed `sniff`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.contract.errors import InputUnsupportedError
from darkroom.contract.parameters.values import Format


@dataclass(frozen=True, kw_only=True)
class FormatTraits:
    extension: str
    content_type: str
    holds_alpha: bool
    holds_animation: bool
    max_side_px: int
    comes_premultiplied: bool = False
    """Whether every transparent pixel is decoded to zeros and no pixel is translucent."""


TRAITS: dict[Format, FormatTraits] = {
    Format.JPEG: FormatTraits(
        extension="jpg", content_type="image/jpeg", holds_alpha=False, holds_animation=False, max_side_px=65_535
    ),
    Format.PNG: FormatTraits(
        extension="png", content_type="image/png", holds_alpha=True, holds_animation=False, max_side_px=2**31 - 1
    ),
    Format.WEBP: FormatTraits(
        extension="webp", content_type="image/webp", holds_alpha=True, holds_animation=True, max_side_px=16_383
    ),
    Format.AVIF: FormatTraits(
        extension="avif", content_type="image/avif", holds_alpha=True, holds_animation=False, max_side_px=65_535
    ),
    Format.GIF: FormatTraits(
        extension="gif",
        content_type="image/gif",
        holds_alpha=True,
        holds_animation=True,
        max_side_px=65_535,
        comes_premultiplied=True,
    ),
}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AVIF_BRANDS = {b"avif", b"avis"}
# Items of these types hold no coded picture, or derive one from others (ISO/IEC 23008-12, clauses 6.5 and 6.6).
_AVIF_ITEM_TYPES = {b"av01", b"grid", b"iden", b"iovl", b"tmap", b"Exif", b"mime", b"uri "}
_GIF_TRAILER = b";"
# The most zero bytes that are skipped at the end of a GIF.
_PADDING_BYTES = 16
_SNIFFED_BYTES = 16


def sniff(body: bytes) -> Format:
    """Return the format of these bytes. Raises InputUnsupportedError for anything that is not on the allow-list."""
    if body.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if body.startswith(_PNG_SIGNATURE):
        return Format.PNG
    if body.startswith((b"GIF87a", b"GIF89a")):
        return Format.GIF
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return Format.WEBP
    if body[4:8] == b"ftyp" and body[8:12] in _AVIF_BRANDS:
        _refuse_other_codecs(body)
        return Format.AVIF
    raise InputUnsupportedError(_description(body))


def _description(body: bytes) -> str:
    if not body:
        return "the body is empty; jpeg, png, webp, gif and avif are allowed"
    start = body[:_SNIFFED_BYTES]
    return f"the body begins with {start!r}, which is none of jpeg, png, webp, gif and avif"


def is_truncated(format: Format, body: bytes) -> bool:
    """Return whether the container says that bytes are missing: an absent end marker, a length beyond the body.

    False does not promise a whole picture; the decoder decides.
    """
    if format is Format.JPEG:
        # Entropy-coded data never contains the marker (ITU T.81, B.1.1.5), but a thumbnail in the EXIF block may.
        return body.rfind(b"\xff\xd9", _jpeg_scan_offset(body)) < 0
    if format is Format.PNG:
        return body.rfind(b"IEND") < 0
    if format is Format.WEBP:
        return len(body) < 8 + int.from_bytes(body[4:8], "little")
    if format is Format.AVIF:
        return any(offset + size > len(body) for offset, size, _ in _boxes(body, 0, len(body)))
    if format is Format.GIF:
        return _gif_lacks_trailer(body)
    return False


def _gif_lacks_trailer(body: bytes) -> bool:
    """Return whether the trailer is missing. An animation that was cut between two frames decodes without an error;
    only the trailer shows it (GIF89a, 27).
    """
    if body[-_PADDING_BYTES:].rstrip(b"\x00").endswith(_GIF_TRAILER):
        return False
    try:
        return not _gif_blocks_end_in_trailer(body)
    except IndexError:
        return True


def _gif_blocks_end_in_trailer(body: bytes) -> bool:
    """Walk the blocks. Raises IndexError where the body ends first."""
    offset = 13 + _gif_colours_size(body[10])
    while True:
        introducer = body[offset]
        if introducer == 0x21:  # an extension
            offset += 2
        elif introducer == 0x2C:  # a frame
            offset += 11 + _gif_colours_size(body[offset + 9])
        else:
            # The trailer, or something that is left to the decoder.
            return True
        while body[offset]:
            offset += 1 + body[offset]
        offset += 1


def _gif_colours_size(flags: int) -> int:
    """Return the size in bytes of the colour table that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _jpeg_scan_offset(body: bytes) -> int:
    """Find where the first scan begins by walking the marker segments; the end of the body if there is none."""
    offset = 2
    while offset + 4 <= len(body) and body[offset] == 0xFF:
        marker = body[offset + 1]
        if marker == 0xDA:
            return offset
        if marker == 0xFF:  # fill bytes may precede a marker
            offset += 1
            continue
        offset += 2 + int.from_bytes(body[offset + 2 : offset + 4], "big")
    return min(offset, len(body))


def _refuse_other_codecs(body: bytes) -> None:
    """Raise InputUnsupportedError for a codec other than AV1.

    The HEIF decoder picks the codec by item, not by brand: a file that calls itself AVIF may hold HEVC.
    """
    for item_type in _heif_item_types(body):
        if item_type not in _AVIF_ITEM_TYPES:
            raise InputUnsupportedError(f"the AVIF file has an item of type {item_type!r}; only av01 is allowed")


def _heif_item_types(body: bytes) -> Iterator[bytes]:
    """Yield the types in the item information box (ISO/IEC 14496-12, 8.11.6): meta > iinf > infe."""
    for meta_offset, meta_size, kind in _boxes(body, 0, len(body)):
        if kind != b"meta":
            continue
        for iinf_offset, iinf_size, inner in _boxes(body, meta_offset + 12, meta_offset + meta_size):
            if inner != b"iinf":
                continue
            count_bytes = 2 if body[iinf_offset + 8 : iinf_offset + 9] == b"\x00" else 4
            first = iinf_offset + 12 + count_bytes
            for infe_offset, _, _ in _boxes(body, first, iinf_offset + iinf_size):
                version = body[infe_offset + 8 : infe_offset + 9]
                type_offset = infe_offset + (16 if version == b"\x02" else 18)
                yield body[type_offset : type_offset + 4]


def _boxes(body: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, size and type of each box from `start` (ISO/IEC 14496-12, 4.2). A size may exceed the body."""
    offset = start
    while offset + 8 <= min(end, len(body)):
        size = int.from_bytes(body[offset : offset + 4], "big")
        if size == 1:
            size = int.from_bytes(body[offset + 8 : offset + 16], "big")
        elif size == 0:
            size = end - offset
        yield offset, size, body[offset + 4 : offset + 8]
        if size < 8:
            return
        offset += size
