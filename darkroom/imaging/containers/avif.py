"""Walks the boxes of an AVIF (AV1 Image File Format; ISO/IEC 14496-12 and 23008-12).

Only the file's own boxes are walked as they come; the one box that describes the picture, `meta`, is held until it is
whole. What the picture's items refer to is compared with the bytes that came.
"""

from __future__ import annotations

import struct
from typing import ClassVar

from darkroom.contract.errors import InputUnsupportedError
from darkroom.imaging.containers.contents import Contents
from darkroom.imaging.containers.heif_meta import HeifMeta, MetaError
from darkroom.imaging.containers.inflow import Steps
from darkroom.imaging.containers.walker import Walker

_BOX = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")
_STILL_BRANDS = {b"avis": b"avif", b"msf1": b"mif1"}
"""The brand of a still in the place of each brand of a sequence."""
_BRANDS = {b"avif", b"avis"}
_MOST_BRAND_BYTES = 4096
_MOST_META_BYTES = 4 * 1024 * 1024
_TO_THE_END = 0


def is_avif(beginning: bytes) -> bool | None:
    """Return whether a file type box names an AVIF brand, major or compatible (AVIF, section 6); None where more of the
    box is needed. The major brand says only what the file is best used as.
    """
    if beginning[4:8] != b"ftyp":
        return False
    size = int.from_bytes(beginning[:4], "big")
    if not _BRANDS.isdisjoint(brands_of(beginning)):
        return True
    return None if len(beginning) < min(size, _MOST_BRAND_BYTES) else False


def brands_of(beginning: bytes) -> set[bytes]:
    """Return the brands of a file type box, as far as they have come."""
    size = int.from_bytes(beginning[:4], "big")
    brands = beginning[8:12] + beginning[16 : min(size, _MOST_BRAND_BYTES)]
    return {brands[offset : offset + 4] for offset in range(0, len(brands) - 3, 4)}


class AvifWalker(Walker):
    format = "avif"
    codecs: ClassVar[frozenset[bytes]] = frozenset({b"av01"})
    """Types of the items that hold coded pictures."""

    _meta: HeifMeta | None = None
    _has_movie = False
    _foreign_start = -1
    """Offset of the first of the boxes that the decoder need not see."""

    def _walk(self) -> Steps[None]:
        inflow = self._inflow
        while True:
            yield from inflow.need(_BOX.size)
            self._count_part()
            start = inflow.offset
            size, kind = _BOX.unpack_from(inflow.data, inflow.position)
            header = _BOX.size
            if size == 1:
                yield from inflow.need(_BOX.size + _LARGE.size)
                (size,) = _LARGE.unpack_from(inflow.data, inflow.position + _BOX.size)
                header += _LARGE.size
            if size != _TO_THE_END and size < header:
                if self._meta is None:
                    raise self._corrupt(f"a box of type {kind!r} claims {size} bytes")
                self._foreign(start)
                return
            if kind == b"meta" and self._meta is None:
                if size == _TO_THE_END or size > _MOST_META_BYTES:
                    raise self._corrupt(f"its meta box claims {size} bytes, the limit is {_MOST_META_BYTES}")
                inflow.position += header
                self._note_meta(start, header, (yield from inflow.take(size - header)))
                continue
            self._has_movie = self._has_movie or kind == b"moov"
            if start == 0:
                yield from self._file_type(min(size, _MOST_BRAND_BYTES))
                inflow.position -= inflow.offset
            else:
                self._foreign(start)
            if size == _TO_THE_END:
                return
            inflow.position += size

    def _file_type(self, size: int) -> Steps[None]:
        """Hide that the file is a sequence too: the decoder would read that, and from boxes that it does not see."""
        data = yield from self._inflow.take(size)
        for offset in (8, *range(16, len(data) - 3, 4)):
            still = _STILL_BRANDS.get(data[offset : offset + 4])
            if self._edits is not None and still is not None:
                self._edits.replace(offset, still)

    def _foreign(self, start: int) -> None:
        if self._foreign_start < 0:
            self._foreign_start = start

    def _note_meta(self, start: int, header: int, payload: bytes) -> None:
        try:
            self._meta = HeifMeta(payload, offset=start + header)
        except MetaError as exc:
            raise self._corrupt(str(exc)) from exc
        self._meta.refuse_other_codecs(self.codecs, self.format)
        self._checks.size(self._meta.size)
        self._cover(start)

    def _cover(self, end: int) -> None:
        """Make one box of all foreign ones up to `end`: places in the file stay the same."""
        if self._edits is None or self._foreign_start < 0 or self._foreign_start == end:
            return
        start, self._foreign_start = self._foreign_start, -1
        self._edits.replace(start, _BOX.pack(end - start, b"mdat"))

    def _contents(self) -> Contents:
        meta, total = self._meta, self._inflow.total
        if meta is None:
            if self._has_movie and self._inflow.offset <= total:
                raise InputUnsupportedError("the avif file is a sequence without a still picture; store one as avif")
            raise self._truncated("the box that describes the picture is missing")
        if meta.pixels_end > total:
            raise self._truncated(f"{meta.pixels_end - total} bytes of its pixels are missing")
        self._cover(total)
        if self._edits is not None:
            for offset, data in meta.replacements(total):
                self._edits.replace(offset, data)
        return Contents(
            coded=meta.size,
            # The decoder makes three bands of one.
            bands=3 + meta.has_alpha,
            monochrome=meta.is_monochrome,
            has_alpha=meta.has_alpha,
            bits=meta.bits,
            colour=meta.colour,
        )
