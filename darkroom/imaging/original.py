"""Estimates how a JPEG was encoded, for results that must not become larger than it."""

from __future__ import annotations

from collections.abc import Iterator

# The standard luminance table (ITU T.81, K.1), which libjpeg scales by the quality (jcparam.c).
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def jpeg_quality(body: bytes) -> int | None:
    """Estimate the quality at which a JPEG was saved: that whose luminance table has the nearest sum. None where it has
    no such table.
    """
    table_sum = next((sum(table) for number, table in _quantization_tables(body) if number == 0), None)
    if table_sum is None:
        return None
    return min(range(1, 101), key=lambda quality: abs(_scaled_sum(quality) - table_sum))


def _scaled_sum(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(max(1, min(255, (value * scale + 50) // 100)) for value in _LUMINANCE)


def _quantization_tables(body: bytes) -> Iterator[tuple[int, list[int]]]:
    """Yield the number and the values of the tables before the first scan (ITU T.81, B.2.4.1)."""
    offset = 2
    while offset + 4 <= len(body) and body[offset] == 0xFF and body[offset + 1] != 0xDA:
        if body[offset + 1] == 0xFF:  # fill bytes may precede a marker
            offset += 1
            continue
        end = offset + 2 + int.from_bytes(body[offset + 2 : offset + 4], "big")
        if body[offset + 1] == 0xDB:
            yield from _tables_of_segment(body[offset + 4 : end])
        offset = max(end, offset + 4)


def _tables_of_segment(data: bytes) -> Iterator[tuple[int, list[int]]]:
    offset = 0
    while offset < len(data):
        width = 2 if data[offset] >> 4 else 1
        values = data[offset + 1 : offset + 1 + 64 * width]
        if len(values) < 64 * width:
            return
        yield data[offset] & 15, [int.from_bytes(values[at : at + width], "big") for at in range(0, len(values), width)]
        offset += 1 + 64 * width
