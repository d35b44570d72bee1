"""Reads and rewrites the frame header of a JPEG, so that its decoder can shrink it without losing the last pixels."""

from __future__ import annotations

from dataclasses import dataclass

# SOF0 to SOF15 without DHT, JPG and DAC (ITU T.81, table B.1).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_FILL = 0xFF
_LARGEST_SIDE_PX = 65_535


@dataclass(frozen=True, kw_only=True)
class _Frame:
    sides_offset: int
    """Where height and width are, two bytes each."""
    height: int
    width: int
    sampling: tuple[tuple[int, int], ...]
    """Each component's horizontal and vertical sampling factor."""


def padded_to(body: bytes, step: int) -> bytes | None:
    """Return the JPEG with both sides rounded up to multiples of `step`, which is 2, 4 or 8; None where it cannot be.

    libvips drops the last column of a shrunk JPEG where the shrinking leaves only a part of it, and the last row
    likewise. A JPEG always holds whole blocks of 8 by 8 (ITU T.81, A.2.4), so with the sides rounded up the same data
    gives the same picture, and its last column and row are whole. Beyond the picture lies what its encoder filled the
    blocks with, usually copies of the edge.
    """
    frame = _frame_of(body)
    if frame is None or not _has_equal_blocks_when_padded(frame):
        return None
    height, width = -(-frame.height // step) * step, -(-frame.width // step) * step
    if max(height, width) > _LARGEST_SIDE_PX:
        return None
    if (height, width) == (frame.height, frame.width):
        return body
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"".join((body[: frame.sides_offset], sides, body[frame.sides_offset + len(sides) :]))


def _has_equal_blocks_when_padded(frame: _Frame) -> bool:
    """Return whether each component has as many blocks as before.

    That is so where its sampling factors divide the largest, as in every usual JPEG: rounding up by whole divisors can
    be done in any order.
    """
    widest, tallest = (max(factors) for factors in zip(*frame.sampling, strict=True))
    return all(across and down and not (widest % across or tallest % down) for across, down in frame.sampling)


def _frame_of(body: bytes) -> _Frame | None:
    """Walk the marker segments to the frame header (ITU T.81, B.2.2); None where a scan comes first."""
    offset = 2
    while offset + 4 <= len(body) and body[offset] == _FILL:
        marker = body[offset + 1]
        if marker == _FILL:  # fill bytes may precede a marker
            offset += 1
            continue
        length = int.from_bytes(body[offset + 2 : offset + 4], "big")
        if marker in _FRAME_MARKERS:
            return _parsed(body[offset : offset + 2 + length], offset)
        if marker == _SCAN:
            return None
        offset += 2 + length
    return None


def _parsed(segment: bytes, offset: int) -> _Frame | None:
    components = segment[9] if len(segment) > 9 else 0
    if components == 0 or len(segment) < 10 + 3 * components:
        return None
    return _Frame(
        sides_offset=offset + 5,
        height=int.from_bytes(segment[5:7], "big"),
        width=int.from_bytes(segment[7:9], "big"),
        sampling=tuple((factors >> 4, factors & 15) for factors in segment[11 : 10 + 3 * components : 3]),
    )
