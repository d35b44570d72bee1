"""The picture of benchmarks in which rendering should cost as little as possible."""

from __future__ import annotations

from darkroom.imaging.photograph import photograph

SIDE_PX = 64
WIDTH_PX = 32
"""Of the result."""


def small_picture() -> bytes:
    """Return a PNG."""
    return bytes(photograph(SIDE_PX, SIDE_PX).pngsave_buffer())
