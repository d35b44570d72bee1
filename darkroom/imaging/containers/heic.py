"""Walks the boxes of a HEIC (ISO/IEC 23008-12, annex B): like an AVIF's, with pictures coded as HEVC."""

from __future__ import annotations

from darkroom.imaging.containers.avif import AvifWalker, brands_of

_BRANDS = {b"heic", b"heix", b"heim", b"heis"}


def is_heic(beginning: bytes) -> bool:
    """Return whether a file type box names a brand of HEIC pictures."""
    return beginning[4:8] == b"ftyp" and not _BRANDS.isdisjoint(brands_of(beginning))


class HeicWalker(AvifWalker):
    format = "heic"
    codecs = frozenset({b"hvc1"})
