"""Reads the orientation from an EXIF block (CIPA DC-008, 4.6.4; TIFF 6.0, section 2)."""

from __future__ import annotations

import struct

MOST_BYTES = 64 * 1024
"""The first directory, which has the orientation, is searched for in so many bytes."""

_PREFIX = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_ENTRY_BYTES = 12
_LONG = 4


def orientation_of(block: bytes) -> int:
    """Return the orientation, 1 to 8; 1 where it is absent or makes no sense."""
    block = block.removeprefix(_PREFIX)
    order = _BYTE_ORDERS.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", block, 4)
    if directory + 2 > len(block):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", block, directory)
    first = directory + 2
    for offset in range(first, min(first + entries * _ENTRY_BYTES, len(block) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, kind = struct.unpack_from(f"{order}HH", block, offset)
        if tag == _ORIENTATION_TAG:
            return _valid(struct.unpack_from(f"{order}I" if kind == _LONG else f"{order}H", block, offset + 8)[0])
    return 1


def _valid(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1
