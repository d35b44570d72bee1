"""The limits that are checked before any pixel is decoded, and those of the output."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
MEGAPIXEL = 1_000_000

MAX_OUTPUT_SIDE_PX = 8192


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Every limit is inclusive: a picture of exactly `max_pixels` passes."""

    max_input_bytes: int = 32 * MEBIBYTE
    max_pixels: int = 50 * MEGAPIXEL
    """Pixels of one frame of the input."""
    max_side_px: int = 16_383
    """Each side of one frame of the input; 16,383 is also the most that WebP can hold."""
    max_frames: int = 300
    max_total_pixels: int = 100 * MEGAPIXEL
    """Pixels of all frames of the input together."""
    max_scans: int = 500
    """Scans of a JPEG: each is a pass over all coefficients, however few bytes it has. 500 is what libjpeg-turbo's
    paper "Two Issues with the JPEG Standard" and NVIDIA's DALI use; encoders write about ten.
    """
    max_output_side_px: int = MAX_OUTPUT_SIDE_PX
    max_output_pixels: int = 40 * MEGAPIXEL
    """Pixels of all frames of the output together."""
