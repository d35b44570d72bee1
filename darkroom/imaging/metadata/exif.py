"""Filters an EXIF block (CIPA DC-008-2023, which is a TIFF 6.0 file in memory) and writes it anew.

Values are copied as bytes, in the byte order in which they were stored.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from darkroom.imaging.geometry import Size

MAX_BYTES = 60_000
"""Of a written block: it must fit into one JPEG segment of 65,533 bytes."""

_HEADER = b"Exif\x00\x00"
_MAX_ENTRIES = 1000
"""Per directory. Cameras write about a hundred."""

_ASCII, _SHORT, _LONG = 2, 3, 4
# Bytes per value of each type; 129 is EXIF 3.0's UTF-8.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}

ARTIST, COPYRIGHT = 0x013B, 0x8298
_RIGHTS = {ARTIST, COPYRIGHT, 0x9C9D}  # the last is Windows' XPAuthor
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_POINTERS = {_EXIF_IFD, _GPS_IFD}
_COLOUR_SPACE, _PIXEL_X, _PIXEL_Y = 0xA001, 0xA002, 0xA003
_SRGB = 1
# Everything that described the stored pixels (TIFF 6.0, section 8 and following; CIPA DC-008, 4.6.4 and 4.6.5).
_ABOUT_OLD_PIXELS = {
    # In the main directory: sizes, strips and tiles, sample layout, orientation, colours, embedded previews and blocks.
    *range(0x00FE, 0x0104), 0x0106, 0x0107, 0x010A, 0x0111, 0x0112, *range(0x0115, 0x011A), 0x011C, 0x0122, 0x0123,
    0x012D, 0x013D, 0x013E, 0x013F, *range(0x0140, 0x0145), 0x014A, *range(0x0150, 0x0155), 0x015B,
    *range(0x0200, 0x0215), 0x02BC, 0x0301, 0x0302, 0x0303, *range(0x5001, 0x6000), 0x828D, 0x828E, 0x83BB, 0x8649,
    0x8773, 0xC4A5,
    # In the EXIF directory. A maker note has offsets that lead nowhere in another block, and previews of what was cut.
    0x9101, 0x9102, 0x9214, 0x927C, _COLOUR_SPACE, _PIXEL_X, _PIXEL_Y, 0xA005, 0xA20C, 0xA20E, 0xA20F, 0xA210, 0xA214,
    0xA302, 0xA500, 0xEA1C, 0xEA1D,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Entry:
    tag: int
    type: int
    count: int
    value: bytes


@dataclass(frozen=True, kw_only=True)
class _Directories:
    """A block's contents, as far as they are valid."""

    byte_order: str
    """As in `struct`: `<` or `>`."""
    main: Mapping[int, _Entry]
    exif: Mapping[int, _Entry]
    gps: Mapping[int, _Entry]


def rights_only(block: bytes) -> bytes:
    """Return a block with the author and the copyright, byte for byte; empty where there are none."""
    found = _read(block)
    if found is None:
        return b""
    return _written(replace(found, main=_only(found.main, _RIGHTS), exif={}, gps={}))


def rights(block: bytes) -> tuple[bytes, bytes]:
    """Return the artist's and the copyright's text as stored, without the bytes that end them."""
    found = _read(block)
    if found is None:
        return b"", b""
    artist, notice = (found.main.get(tag) for tag in (ARTIST, COPYRIGHT))
    return _text(artist), _text(notice)


def for_new_pixels(block: bytes, size: Size) -> bytes:
    """Return the block without what described the old pixels, and with the new size in sRGB."""
    found = _read(block)
    if found is None:
        return b""
    exif = _without(found.exif, _ABOUT_OLD_PIXELS)
    if found.exif:
        order = found.byte_order
        for tag, side in ((_PIXEL_X, size.width), (_PIXEL_Y, size.height)):
            exif[tag] = _Entry(tag=tag, type=_LONG, count=1, value=struct.pack(f"{order}I", side))
        exif[_COLOUR_SPACE] = _Entry(tag=_COLOUR_SPACE, type=_SHORT, count=1, value=struct.pack(f"{order}H", _SRGB))
    return _written(replace(found, main=_without(found.main, _ABOUT_OLD_PIXELS), exif=exif))


def with_rights(block: bytes, *, artist: bytes, notice: bytes) -> bytes:
    """Return the block, or a new one where it is empty, with these two where they are not empty."""
    found = _read(block) or _Directories(byte_order=">", main={}, exif={}, gps={})
    added = {
        tag: _Entry(tag=tag, type=_ASCII, count=len(text) + 1, value=text + b"\x00")
        for tag, text in ((ARTIST, artist), (COPYRIGHT, notice))
        if text and len(text) < MAX_BYTES // 2
    }
    return _written(replace(found, main={**found.main, **added}))


def _text(entry: _Entry | None) -> bytes:
    return b"" if entry is None or _TYPE_BYTES[entry.type] != 1 else entry.value.strip(b"\x00 ")


def _only(entries: Mapping[int, _Entry], tags: Collection[int]) -> dict[int, _Entry]:
    return {tag: entry for tag, entry in entries.items() if tag in tags}


def _without(entries: Mapping[int, _Entry], tags: Collection[int]) -> dict[int, _Entry]:
    return {tag: entry for tag, entry in entries.items() if tag not in tags}


def _read(block: bytes) -> _Directories | None:
    tiff = block.removeprefix(_HEADER)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    main = _directory(tiff, order, int(struct.unpack_from(f"{order}I", tiff, 4)[0]))
    found = _Directories(
        byte_order=order,
        main=_without(main, _POINTERS),
        exif=_linked(tiff, order, main.get(_EXIF_IFD)),
        gps=_linked(tiff, order, main.get(_GPS_IFD)),
    )
    # The directories after the first hold thumbnails, which would show what was cut away.
    return found if found.main or found.exif or found.gps else None


def _linked(tiff: bytes, order: str, pointer: _Entry | None) -> dict[int, _Entry]:
    if pointer is None or len(pointer.value) != 4:
        return {}
    return _without(_directory(tiff, order, int(struct.unpack(f"{order}I", pointer.value)[0])), _POINTERS)


def _directory(tiff: bytes, order: str, offset: int) -> dict[int, _Entry]:
    found: dict[int, _Entry] = {}
    for entry in _entries(tiff, order, offset):
        found.setdefault(entry.tag, entry)
    return found


def _entries(tiff: bytes, order: str, offset: int) -> Iterator[_Entry]:
    """Yield the entries whose type is known and whose value lies inside the block (TIFF 6.0, section 2)."""
    if offset + 2 > len(tiff):
        return
    (count,) = struct.unpack_from(f"{order}H", tiff, offset)
    for index in range(min(count, _MAX_ENTRIES)):
        start = offset + 2 + 12 * index
        if start + 12 > len(tiff):
            return
        tag, kind, values, place = struct.unpack_from(f"{order}HHII", tiff, start)
        size = _TYPE_BYTES.get(kind, 0) * values
        at = start + 8 if size <= 4 else place
        if 0 < size <= MAX_BYTES and at + size <= len(tiff):
            yield _Entry(tag=tag, type=kind, count=values, value=tiff[at : at + size])


def _written(directories: _Directories) -> bytes:
    """Return the block with its header; entries that do not fit into MAX_BYTES are dropped."""
    if not (directories.main or directories.exif or directories.gps):
        return b""
    main, exif, gps = _fitting(directories)
    order = directories.byte_order
    linked = {tag: entries for tag, entries in ((_EXIF_IFD, exif), (_GPS_IFD, gps)) if entries}
    offset = 8 + _directory_size({**main, **dict.fromkeys(linked, _POINTER)})
    for tag, entries in linked.items():
        main[tag] = replace(_POINTER, tag=tag, value=struct.pack(f"{order}I", offset))
        offset += _directory_size(entries)
    tiff = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8)
    for entries in (main, *linked.values()):
        tiff += _directory_bytes(entries, order, len(tiff))
    return _HEADER + tiff


def _fitting(directories: _Directories) -> list[dict[int, _Entry]]:
    """Return the entries of the main, EXIF and GPS directories that fit into a block. The rights come first."""
    room = MAX_BYTES
    kept: list[dict[int, _Entry]] = [{}, {}, {}]
    for index, entries in enumerate((directories.main, directories.exif, directories.gps)):
        for tag in sorted(entries, key=lambda tag: (tag not in _RIGHTS, tag)):
            size = 12 + _outside_size(entries[tag])
            if size <= room:
                kept[index][tag] = entries[tag]
                room -= size
    return kept


_POINTER = _Entry(tag=0, type=_LONG, count=1, value=bytes(4))


def _outside_size(entry: _Entry) -> int:
    """Return the bytes of the value outside the directory; values begin at even offsets."""
    size = len(entry.value)
    return 0 if size <= 4 else size + size % 2


def _directory_size(entries: Mapping[int, _Entry]) -> int:
    return 6 + sum(12 + _outside_size(entry) for entry in entries.values())


def _directory_bytes(entries: Mapping[int, _Entry], order: str, offset: int) -> bytes:
    table, outside = bytearray(struct.pack(f"{order}H", len(entries))), bytearray()
    values_offset = offset + 6 + 12 * len(entries)
    for tag in sorted(entries):
        entry = entries[tag]
        table += struct.pack(f"{order}HHI", tag, entry.type, entry.count)
        if _outside_size(entry):
            table += struct.pack(f"{order}I", values_offset + len(outside))
            outside += entry.value + bytes(len(entry.value) % 2)
        else:
            table += entry.value.ljust(4, b"\x00")
    return bytes(table + bytes(4) + outside)
