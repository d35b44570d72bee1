"""Adds metadata items to an AVIF file that our own encoder has made (ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12, A.2).

The items' data goes into a media data box at the end. The meta box grows, so what lies behind it moves, and the places
of the other items are moved along.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from darkroom.contract.errors import InternalError

_MIME_XMP = b"application/rdf+xml\x00"


def with_items(body: bytes, *, exif: bytes, xmp: bytes) -> bytes:
    """Return the file with these items. Raises InternalError for a file that is not as our encoder writes it."""
    datas = [data for data in (_exif_data(exif), xmp) if data]
    infos = [info for data, info in ((exif, b"Exif\x00"), (xmp, b"mime\x00" + _MIME_XMP)) if data]
    try:
        return _with_items(body, datas, infos)
    except (struct.error, KeyError, IndexError) as exc:
        raise InternalError("the encoded avif has a meta box of another form than expected") from exc


def _exif_data(exif: bytes) -> bytes:
    """Return the block behind the offset of its TIFF header, which is 0 (ISO/IEC 23008-12, A.2.1)."""
    return bytes(4) + exif if exif else b""


def _with_items(body: bytes, datas: list[bytes], infos: list[bytes]) -> bytes:
    top = dict(_boxes(body, 0, len(body)))
    meta_start, meta_end = top[b"meta"]
    meta = dict(_boxes(body, meta_start + 12, meta_end))
    places = _Places(body[slice(*meta[b"iloc"])])
    primary = int.from_bytes(body[meta[b"pitm"][1] - 2 : meta[b"pitm"][1]], "big")
    ids = [max(places.ids) + 1 + index for index in range(len(datas))]
    boxes = {kind: body[start:end] for kind, (start, end) in meta.items()}
    boxes[b"iinf"] = _with_infos(boxes[b"iinf"], ids, infos)
    boxes[b"iref"] = _with_references(boxes.get(b"iref", b""), ids, primary)
    boxes[b"iloc"] = places.written(
        shift=0, added=[(item, 0, len(data)) for item, data in zip(ids, datas, strict=True)]
    )
    grown = _full_box(b"meta", 0, b"".join(boxes.values()))
    shift = len(grown) - (meta_end - meta_start)
    data_start, added = len(body) + shift + 8, []
    for item, data in zip(ids, datas, strict=True):
        added.append((item, data_start, len(data)))
        data_start += len(data)
    boxes[b"iloc"] = places.written(shift=shift, added=added)
    grown = _full_box(b"meta", 0, b"".join(boxes.values()))
    return body[:meta_start] + grown + body[meta_end:] + _box(b"mdat", b"".join(datas))


class _Places:
    """The item location box (ISO/IEC 14496-12, 8.11.3), as far as our encoder uses it."""

    def __init__(self, box: bytes) -> None:
        version, sizes = box[8], int.from_bytes(box[12:14], "big")
        offset_bytes, length_bytes, base_bytes, index_bytes = ((sizes >> shift) & 15 for shift in (12, 8, 4, 0))
        if version > 1 or (offset_bytes, length_bytes) != (4, 4) or base_bytes not in {0, 4} or index_bytes:
            raise KeyError("iloc")
        self.ids: list[int] = []
        self._items: list[tuple[int, int, list[tuple[int, int]]]] = []
        (count,) = struct.unpack_from(">H", box, 14)
        at = 16
        for _ in range(count):
            (item,) = struct.unpack_from(">H", box, at)
            method = struct.unpack_from(">H", box, at + 2)[0] & 15 if version == 1 else 0
            at += 6 if version == 1 else 4
            base = int.from_bytes(box[at : at + base_bytes], "big")
            (extents,) = struct.unpack_from(">H", box, at + base_bytes)
            at += base_bytes + 2
            found = [struct.unpack_from(">II", box, at + 8 * index) for index in range(extents)]
            at += 8 * extents
            self.ids.append(item)
            self._items.append((item, method, [(base + offset, length) for offset, length in found]))

    def written(self, *, shift: int, added: list[tuple[int, int, int]]) -> bytes:
        """Return the box with the file offsets moved and the added items: id, offset, length."""
        items = [
            (item, method, [(offset + (shift if method == 0 else 0), length) for offset, length in extents])
            for item, method, extents in self._items
        ]
        items += [(item, 0, [(offset, length)]) for item, offset, length in added]
        data = struct.pack(">HH", 0x4400, len(items))
        for item, method, extents in items:
            data += struct.pack(">HHHH", item, method, 0, len(extents))
            data += b"".join(struct.pack(">II", *extent) for extent in extents)
        return _full_box(b"iloc", 1, data)


def _with_infos(box: bytes, ids: list[int], infos: list[bytes]) -> bytes:
    """Return the item information box with entries for the items (8.11.6). The added items are hidden."""
    if box[8] != 0:
        raise KeyError("iinf")
    (count,) = struct.unpack_from(">H", box, 12)
    entries = b""
    for item, info in zip(ids, infos, strict=True):
        kind, rest = info[:4], info[4:]
        entries += _box(b"infe", struct.pack(">IHH", 2 << 24 | 1, item, 0) + kind + rest)
    return _full_box(b"iinf", 0, struct.pack(">H", count + len(ids)) + box[14:] + entries)


def _with_references(box: bytes, ids: list[int], primary: int) -> bytes:
    """Return the item reference box with `cdsc`: the items describe the primary one (8.11.12)."""
    if box and box[8] != 0:
        raise KeyError("iref")
    added = b"".join(_box(b"cdsc", struct.pack(">HHH", item, 1, primary)) for item in ids)
    return _full_box(b"iref", 0, box[12:] + added)


def _boxes(body: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", body, start)
        if size < 8:
            raise KeyError(kind)
        yield kind, (start, start + size)
        start += size


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def _full_box(kind: bytes, version: int, data: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + data)
