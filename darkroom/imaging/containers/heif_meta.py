"""Reads the box that describes a HEIF file's picture: items, their properties, and where their bytes are (ISO/IEC
23008-12; ISO/IEC 14496-12, 8.11).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from darkroom.contract.errors import InputUnsupportedError
from darkroom.imaging.containers.contents import CodePoints, ColourDescription
from darkroom.imaging.geometry import Size

MOST_ENTRIES = 20_000
"""The most boxes, references, associations and extents together; a picture of a thousand tiles has some thousands."""
# Items of these types hold no coded picture, or derive one from others (ISO/IEC 23008-12, clauses 6.5 and 6.6).
_ALLOWED_TYPES = {b"grid", b"iden", b"iovl", b"tmap", b"Exif", b"mime", b"uri "}
_METADATA_TYPES = (b"Exif", b"mime", b"uri ")
_MOST_METADATA_BYTES = 1024 * 1024
_XMP = b"application/rdf+xml\x00"
_ALPHA_TYPES = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\x00", b"urn:mpeg:hevc:2015:auxid:1\x00")


class MetaError(ValueError):
    """The box contradicts itself or its own size."""


@dataclass(frozen=True, kw_only=True)
class _Box:
    kind: bytes
    start: int
    """Offset of what the box holds, behind its header."""
    end: int


@dataclass
class _Item:
    kind: bytes
    type_offset: int
    """Offset of the four bytes that name the type."""
    rest: bytes = b""
    """What follows the type: name, content type, encoding."""
    rest_offset: int = 0
    end: int = 0
    """Offset in the file behind its last byte; 0 where it is stored in the meta box."""
    length: int = 0
    properties: list[int] = field(default_factory=list)


class HeifMeta:
    """The facts of the primary item. Raises MetaError for what cannot be read."""

    def __init__(self, payload: bytes, *, offset: int) -> None:
        self._data = payload
        self._offset = offset
        self._entries_left = MOST_ENTRIES
        self._items: dict[int, _Item] = {}
        self._references: list[tuple[bytes, int, tuple[int, ...]]] = []
        self._properties: list[_Box] = []
        self._primary = -1
        try:
            self._read()
        except (struct.error, IndexError) as exc:
            raise MetaError("its meta box ends inside a field") from exc
        if self._primary not in self._items:
            raise MetaError("it has no primary item")
        self._main = self._items[self._primary]
        self._alphas = self._alpha_items()
        self.size = self._transformed_size()

    # --- facts ---

    @property
    def pixels_end(self) -> int:
        """Offset in the file behind the last byte of the primary picture, its tiles and its alpha."""
        return max(self._items[item].end for item in self._needed if item in self._items)

    @property
    def has_alpha(self) -> bool:
        return bool(self._alphas)

    @property
    def bits(self) -> int:
        """Bits per sample (AV1 codec configuration, `high_bitdepth` and `twelve_bit`)."""
        flags = self._av1_flags
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8

    @property
    def is_monochrome(self) -> bool:
        return bool(self._av1_flags & 0x10)

    @property
    def colour(self) -> ColourDescription:
        """The `colr` properties (ISO/IEC 14496-12, 12.1.5)."""
        has_icc, points = False, None
        for box in self._properties_of(self._main, b"colr"):
            kind = self._data[box.start : box.start + 4]
            if kind in (b"prof", b"rICC"):
                has_icc = True
            elif kind == b"nclx" and points is None:
                primaries, transfer, matrix, flags = struct.unpack_from(">HHHB", self._data, box.start + 4)
                points = CodePoints(
                    primaries=primaries, transfer=transfer, matrix=matrix, full_range=bool(flags & 0x80)
                )
        return ColourDescription(has_icc=has_icc, code_points=points)

    def refuse_other_codecs(self, codecs: Collection[bytes], format: str) -> None:
        """Raise InputUnsupportedError for a codec other than these.

        The decoder picks the codec by item, not by brand: a file that calls itself AVIF may hold HEVC.
        """
        for item in self._items.values():
            if item.kind not in _ALLOWED_TYPES and item.kind not in codecs:
                allowed = ", ".join(codec.decode() for codec in codecs)
                raise InputUnsupportedError(
                    f"the {format.upper()} file has an item of type {item.kind!r}; only {allowed} is allowed"
                )

    def replacements(self, total: int) -> Iterator[tuple[int, bytes]]:
        """Yield what to overwrite, so that the decoder of a file of `total` bytes reads no more than one EXIF and one
        XMP block of moderate size, both whole, and inflates neither.
        """
        seen: set[bytes] = set()
        for item in self._items.values():
            if item.kind not in _METADATA_TYPES:
                continue
            is_known = item.kind == b"Exif" or (item.kind == b"mime" and item.rest.partition(b"\x00")[2] == _XMP)
            is_readable = item.length <= _MOST_METADATA_BYTES and item.end <= total
            if is_known and is_readable and item.kind not in seen:
                seen.add(item.kind)
            else:
                yield self._offset + item.type_offset, b"skip"

    # --- reading ---

    def _read(self) -> None:
        # The flags of a full box come first.
        for box in self._boxes(4, len(self._data)):
            match box.kind:
                case b"pitm":
                    version = self._data[box.start]
                    self._primary = self._number(box.start + 4, 2 if version == 0 else 4)
                case b"iinf":
                    self._read_items(box)
                case b"iprp":
                    self._read_properties(box)
                case b"iref":
                    self._read_references(box)
        # The locations are for items that must be known.
        for box in self._boxes(4, len(self._data)):
            if box.kind == b"iloc":
                self._read_locations(box)

    def _boxes(self, start: int, end: int) -> Iterator[_Box]:
        while start + 8 <= end:
            self._count(1)
            size, header = self._number(start, 4), 8
            kind = self._data[start + 4 : start + 8]
            if size == 1:
                size, header = self._number(start + 8, 8), 16
            elif size == 0:
                size = end - start
            if size < header or start + size > end:
                raise MetaError(f"a box of type {kind!r} claims {size} bytes, {end - start} are left")
            yield _Box(kind=kind, start=start + header, end=start + size)
            start += size

    def _read_items(self, box: _Box) -> None:
        """Read the item information box (ISO/IEC 14496-12, 8.11.6)."""
        first = box.start + 4 + (2 if self._data[box.start] == 0 else 4)
        for entry in self._boxes(first, box.end):
            version = self._data[entry.start]
            if entry.kind != b"infe" or version < 2:
                continue
            id_bytes = 2 if version == 2 else 4
            type_offset = entry.start + 4 + id_bytes + 2
            identifier = self._number(entry.start + 4, id_bytes)
            if type_offset + 4 > entry.end:
                raise MetaError("an item has no type")
            self._items.setdefault(
                identifier,
                _Item(
                    kind=self._data[type_offset : type_offset + 4],
                    type_offset=type_offset,
                    rest=self._data[type_offset + 4 : entry.end],
                ),
            )

    def _read_properties(self, box: _Box) -> None:
        """Read the item properties box (ISO/IEC 14496-12, 8.11.14)."""
        for inner in self._boxes(box.start, box.end):
            if inner.kind == b"ipco" and not self._properties:
                self._properties = list(self._boxes(inner.start, inner.end))
            elif inner.kind == b"ipma":
                self._read_associations(inner)

    def _read_associations(self, box: _Box) -> None:
        version, flags = self._data[box.start], self._data[box.start + 3]
        id_bytes, index_bytes = (2 if version == 0 else 4), (2 if flags & 1 else 1)
        mask = 0x7FFF if flags & 1 else 0x7F
        count, position = self._number(box.start + 4, 4), box.start + 8
        for _ in range(count):
            if position + id_bytes + 1 > box.end:
                raise MetaError("its property associations end early")
            item = self._items.get(self._number(position, id_bytes))
            position += id_bytes
            associated = self._data[position]
            position += 1
            self._count(1 + associated)
            for _ in range(associated):
                index = self._number(position, index_bytes) & mask
                position += index_bytes
                if item is not None and index:
                    item.properties.append(index - 1)

    def _read_references(self, box: _Box) -> None:
        """Read the item reference box (ISO/IEC 14496-12, 8.11.12)."""
        id_bytes = 2 if self._data[box.start] == 0 else 4
        for inner in self._boxes(box.start + 4, box.end):
            source = self._number(inner.start, id_bytes)
            count = self._number(inner.start + id_bytes, 2)
            self._count(count)
            first = inner.start + id_bytes + 2
            targets = tuple(self._number(first + index * id_bytes, id_bytes) for index in range(count))
            self._references.append((inner.kind, source, targets))

    def _read_locations(self, box: _Box) -> None:
        """Read the item location box (ISO/IEC 14496-12, 8.11.3)."""
        version = self._data[box.start]
        sizes = self._number(box.start + 4, 2)
        offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_bytes = sizes & 15 if version in (1, 2) else 0
        id_bytes = 2 if version < 2 else 4
        position = box.start + 6
        count = self._number(position, id_bytes)
        position += id_bytes
        for _ in range(count):
            item = self._items.get(self._number(position, id_bytes))
            position += id_bytes
            method = 0
            if version in (1, 2):
                method = self._number(position, 2) & 15
                position += 2
            position += 2
            base = self._number(position, base_bytes)
            position += base_bytes
            extents = self._number(position, 2)
            position += 2
            # An extent may be described by no byte at all.
            self._count(1 + extents)
            for _ in range(extents):
                position += index_bytes
                start = base + self._number(position, offset_bytes)
                length = self._number(position + offset_bytes, length_bytes)
                position += offset_bytes + length_bytes
                if item is not None:
                    item.length += length
                    if method == 0:
                        item.end = max(item.end, start + length)
                if position > box.end:
                    raise MetaError("its item locations end early")

    def _count(self, entries: int) -> None:
        self._entries_left -= entries
        if self._entries_left < 0:
            raise MetaError(f"its meta box holds more than {MOST_ENTRIES} entries, the limit")

    def _number(self, offset: int, size: int) -> int:
        if offset + size > len(self._data):
            raise MetaError("its meta box ends inside a field")
        return int.from_bytes(self._data[offset : offset + size], "big")

    # --- deriving ---

    def _alpha_items(self) -> set[int]:
        """Return the items that hold the alpha of the primary one."""
        auxiliary = {
            source for kind, source, targets in self._references if kind == b"auxl" and self._primary in targets
        }
        return {source for source in auxiliary if source in self._items and self._has_alpha_type(self._items[source])}

    @property
    def _needed(self) -> set[int]:
        """Items without which the picture is not whole: the primary one, its alpha, and what both are derived from."""
        needed = {self._primary} | self._alphas
        derived = {source: targets for kind, source, targets in self._references if kind == b"dimg"}
        waiting = list(needed)
        while waiting:
            for part in derived.get(waiting.pop(), ()):
                if part not in needed:
                    needed.add(part)
                    waiting.append(part)
        return needed

    def _has_alpha_type(self, item: _Item) -> bool:
        return any(
            self._data.startswith(_ALPHA_TYPES, box.start + 4, box.end) for box in self._properties_of(item, b"auxC")
        )

    @property
    def _av1_flags(self) -> int:
        """The third byte of the codec configuration of the primary item or of its first part."""
        for identifier in (self._primary, *sorted(self._needed)):
            item = self._items.get(identifier)
            for box in () if item is None else self._properties_of(item, b"av1C"):
                if box.end - box.start >= 4:
                    return self._data[box.start + 2]
        return 0

    def _properties_of(self, item: _Item, kind: bytes | None = None) -> Iterator[_Box]:
        for index in item.properties:
            if index < len(self._properties) and kind in (None, self._properties[index].kind):
                yield self._properties[index]

    def _transformed_size(self) -> Size:
        """Return the size after the transformations, which apply in their order (ISO/IEC 23008-12, 6.3)."""
        size: Size | None = None
        for box in self._properties_of(self._main, b"ispe"):
            size = Size(width=self._number(box.start + 4, 4), height=self._number(box.start + 8, 4))
        if size is None or not size.pixels:
            raise MetaError("its primary item has no size")
        for box in self._properties_of(self._main):
            if box.kind == b"irot" and self._data[box.start] & 1:
                size = size.turned
            elif box.kind == b"clap":
                size = self._cut(box, size)
        return size

    def _cut(self, box: _Box, size: Size) -> Size:
        """Return the size of the clean aperture: two fractions, rounded as the decoder does."""
        values = struct.unpack_from(">8I", self._data, box.start)
        if not (values[1] and values[3]):
            raise MetaError("its clean aperture divides by zero")
        width, height = (floor(Fraction(values[index], values[index + 1]) + Fraction(1, 2)) for index in (0, 2))
        if not (0 < width <= size.width and 0 < height <= size.height):
            raise MetaError(f"its clean aperture of {width}x{height} does not lie in its {size} px")
        return Size(width=width, height=height)
