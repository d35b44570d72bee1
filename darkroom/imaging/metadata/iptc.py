"""Filters the Photoshop resources of a JPEG's APP13 segment, of which one is the IPTC record (IPTC-IIM 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAX_BYTES = 65_533
"""Of a segment's contents."""

_HEADER = b"Photoshop 3.0\x00"
_IPTC_RESOURCE = 0x0404
_ENVELOPE, _APPLICATION = 1, 2
_CHARACTER_SET = (_ENVELOPE, 90)
_BYLINE, _NOTICE = (_APPLICATION, 80), (_APPLICATION, 116)
# The author and his title, the credit line, the source, the copyright notice, the contact.
_RIGHTS = {_CHARACTER_SET, _BYLINE, (_APPLICATION, 85), (_APPLICATION, 110), (_APPLICATION, 115), _NOTICE,
           (_APPLICATION, 118)}  # fmt: skip
# The image's type, orientation and preview (IPTC-IIM 4.2, 2:130, 2:131, 2:200 to 2:202).
_ABOUT_OLD_PIXELS = {(_APPLICATION, number) for number in (130, 131, 200, 201, 202)}

_DataSet = tuple[tuple[int, int], bytes]


def rights_only(block: bytes) -> bytes:
    """Return a block with the data sets about rights, byte for byte; empty where there are none."""
    kept = [one for one in _data_sets(block) if one[0] in _RIGHTS]
    return _written(kept) if any(name != _CHARACTER_SET for name, _ in kept) else b""


def for_new_pixels(block: bytes) -> bytes:
    """Return the IPTC record without what described the old pixels.

    Of Photoshop's other resources none is kept: they are thumbnails, paths, guides, resolutions and profiles.
    """
    kept = [one for one in _data_sets(block) if one[0][0] in {1, 2} and one[0] not in _ABOUT_OLD_PIXELS]
    return _written(kept)


def rights(block: bytes) -> tuple[bytes, bytes]:
    """Return the first by-line and the copyright notice."""
    found: dict[tuple[int, int], bytes] = {}
    for name, value in _data_sets(block):
        found.setdefault(name, value)
    return found.get(_BYLINE, b""), found.get(_NOTICE, b"")


def _data_sets(block: bytes) -> Iterator[_DataSet]:
    """Yield the data sets of the first IPTC resource until the first that is not valid (IPTC-IIM 4.2, 1.5)."""
    record = next((data for kind, data in _resources(block) if kind == _IPTC_RESOURCE), b"")
    offset = 0
    while offset + 5 <= len(record) and record[offset] == 0x1C:
        size = int.from_bytes(record[offset + 3 : offset + 5], "big")
        end = offset + 5 + size
        # A size with the highest bit set is an extended one, which nothing that is kept needs.
        if size >= 0x8000 or end > len(record):
            return
        yield (record[offset + 1], record[offset + 2]), record[offset + 5 : end]
        offset = end


def _resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the image resource blocks (Adobe Photoshop File Formats, "Image Resource Blocks")."""
    if not block.startswith(_HEADER):
        return
    offset = len(_HEADER)
    while block[offset : offset + 4] == b"8BIM" and offset + 12 <= len(block):
        name_bytes = 1 + block[offset + 6]
        start = offset + 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(block[start : start + 4], "big")
        if start + 4 + size > len(block):
            return
        yield int.from_bytes(block[offset + 4 : offset + 6], "big"), block[start + 4 : start + 4 + size]
        offset = start + 4 + size + size % 2


def _written(data_sets: list[_DataSet]) -> bytes:
    if not data_sets:
        return b""
    record = b"".join(b"\x1c" + bytes(name) + struct.pack(">H", len(value)) + value for name, value in data_sets)
    resource = b"8BIM" + struct.pack(">H", _IPTC_RESOURCE) + b"\x00\x00" + struct.pack(">I", len(record))
    block = _HEADER + resource + record + bytes(len(record) % 2)
    return block if len(block) <= MAX_BYTES else b""
