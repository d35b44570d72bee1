"""Bounds colour profiles: how large one may be, and which segments of a JPEG belong to one (ICC.1:2022, annex B.4)."""

from __future__ import annotations

MOST_BYTES = 4 * 1024 * 1024
"""The largest profile that is given to the decoder. Printers' profiles with fine tables have 2 to 3 MB."""

JPEG_PREFIX = b"ICC_PROFILE\x00"
_HEADER_BYTES = len(JPEG_PREFIX) + 2


class JpegProfile:
    """The segments of one profile: numbered from 1, and each says how many there are."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: set[int] = set()
        self._bytes = 0

    def add(self, prefix: bytes, length: int) -> bool:
        """Take a segment. Return False for one that belongs to no profile: a duplicate, a misnumbered one, too much."""
        if len(prefix) < _HEADER_BYTES:
            return False
        number, count = prefix[len(JPEG_PREFIX)], prefix[len(JPEG_PREFIX) + 1]
        self._count = self._count or count
        self._bytes += length - _HEADER_BYTES
        if count != self._count or not 1 <= number <= count or number in self._seen or self._bytes > MOST_BYTES:
            return False
        self._seen.add(number)
        return True

    @property
    def is_complete(self) -> bool:
        return self._count > 0 and len(self._seen) == self._count
