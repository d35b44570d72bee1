"""Reads the facts of a picture from its header alone, and checks the limits on input before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import (
    ImageTooManyFramesError,
    ImageTooManyPixelsError,
    ImageTruncatedError,
    InputTooLargeError,
    InputUnsupportedError,
)
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.formats import TRAITS, is_truncated, sniff
from darkroom.imaging.geometry import Size, is_turned


@dataclass(frozen=True, kw_only=True)
class Facts:
    format: Format
    width: int
    """Width of one frame after EXIF orientation; `height` likewise."""
    height: int
    bands: int
    has_alpha: bool
    frames: int
    progressive: bool
    """A progressive JPEG, an interlaced PNG or GIF: held in memory whole before the first row comes out."""
    has_icc: bool
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright."""
    bits: int
    """Bits per sample: 8 or more."""
    input_bytes: int
    has_palette: bool = False
    """Whether the pixels are stored as numbers of colours."""
    is_lossless: bool = False
    """Whether the format's lossless variant was used."""

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def total_pixels(self) -> int:
        """Pixels of all frames."""
        return self.pixels * self.frames

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return TRAITS[self.format].extension

    @property
    def content_type(self) -> str:
        return TRAITS[self.format].content_type


def probe(body: bytes, limits: Limits) -> Facts:
    """Return the facts of a picture that is within the limits. Takes less than a millisecond for ordinary pictures.

    Raises InputTooLargeError, InputUnsupportedError, ImageTooManyPixelsError, ImageTooManyFramesError,
    ImageCorruptError, ImageTruncatedError.
    """
    _check_bytes(body, limits)
    format = sniff(body)
    if is_truncated(format, body):
        raise ImageTruncatedError(f"the {format} picture ends early: its end is not in its {len(body)} bytes")
    facts = _read_header(format, body)
    check_input(facts, limits)
    return facts


def _check_bytes(body: bytes, limits: Limits) -> None:
    if len(body) > limits.max_input_bytes:
        raise InputTooLargeError(f"the picture has {len(body)} bytes, the limit is {limits.max_input_bytes}")


def _read_header(format: Format, body: bytes) -> Facts:
    with vips.picture_errors(format, body):
        header = vips.load(format, body)
        if format is Format.AVIF and not vips.is_av1(header):
            raise InputUnsupportedError("the picture calls itself AVIF, but its decoder finds another codec than AV1")
        orientation = vips.orientation(header)
        width, height = header.width, header.height
        if is_turned(orientation):
            width, height = height, width
        return Facts(
            format=format,
            width=width,
            height=height,
            bands=header.bands,
            has_alpha=bool(header.hasalpha()),
            frames=header.get_n_pages() if TRAITS[format].holds_animation else 1,
            progressive=vips.has_field(header, "interlaced"),
            has_icc=vips.has_field(header, "icc-profile-data"),
            orientation=orientation,
            bits=16 if header.format == "ushort" else 8,
            input_bytes=len(body),
            has_palette=format is Format.GIF or (format is Format.PNG and body[25] == 3),
            is_lossless=format is Format.PNG or (format is Format.WEBP and b"VP8L" in body[:64]),
        )


def check_input(facts: Facts, limits: Limits) -> None:
    """Check the limits. Raises ImageTooManyPixelsError or ImageTooManyFramesError."""
    if max(facts.width, facts.height) > limits.max_side_px:
        raise ImageTooManyPixelsError(f"the picture is {facts.size} px, the limit is {limits.max_side_px} px a side")
    if facts.pixels > limits.max_pixels:
        raise ImageTooManyPixelsError(
            f"the picture is {facts.size} px, {facts.pixels} pixels, the limit is {limits.max_pixels}"
        )
    if facts.frames > limits.max_frames:
        raise ImageTooManyFramesError(f"the picture has {facts.frames} frames, the limit is {limits.max_frames}")
    if facts.total_pixels > limits.max_total_pixels:
        raise ImageTooManyPixelsError(
            f"the picture has {facts.frames} frames of {facts.size} px, {facts.total_pixels} pixels in all, "
            f"the limit is {limits.max_total_pixels}"
        )
