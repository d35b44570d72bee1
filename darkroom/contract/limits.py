"""The limits that are checked before any pixel is decoded, and those of the output."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    heic: bool = False
    """Whether HEIC is read, for which the extra `heic` must be installed."""
    max_overlay_bytes: int = 4 * MEBIBYTE
    max_overlay_pixels: int = 10 * MEGAPIXEL

    @property
    def of_overlay(self) -> Limits:
        """The limits for the picture of an overlay."""
        return replace(
            self,
            max_input_bytes=min(self.max_input_bytes, self.max_overlay_bytes),
            max_pixels=min(self.max_pixels, self.max_overlay_pixels),
            max_total_pixels=min(self.max_total_pixels, self.max_overlay_pixels),
        )
