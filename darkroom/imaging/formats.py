"""Detects a picture's format from its bytes, and knows what each format can hold. The file name is never used.

Nothing here decodes, and libvips sees a body only after it has passed `probe`.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import InputUnsupportedError
from darkroom.contract.parameters.values import Format
from darkroom.imaging.containers import avif, heic, png


@dataclass(frozen=True, kw_only=True)
class FormatTraits:
    extension: str
    content_type: str
    holds_alpha: bool
    holds_animation: bool
    max_side_px: int
    comes_premultiplied: bool = False
    """Whether every transparent pixel is decoded to zeros and no pixel is translucent."""


TRAITS: dict[Format, FormatTraits] = {
    Format.JPEG: FormatTraits(
        extension="jpg", content_type="image/jpeg", holds_alpha=False, holds_animation=False, max_side_px=65_535
    ),
    Format.PNG: FormatTraits(
        extension="png", content_type="image/png", holds_alpha=True, holds_animation=False, max_side_px=2**31 - 1
    ),
    Format.WEBP: FormatTraits(
        extension="webp", content_type="image/webp", holds_alpha=True, holds_animation=True, max_side_px=16_383
    ),
    Format.AVIF: FormatTraits(
        extension="avif", content_type="image/avif", holds_alpha=True, holds_animation=False, max_side_px=65_535
    ),
    Format.GIF: FormatTraits(
        extension="gif",
        content_type="image/gif",
        holds_alpha=True,
        holds_animation=True,
        max_side_px=65_535,
        comes_premultiplied=True,
    ),
    Format.HEIC: FormatTraits(
        extension="heic", content_type="image/heic", holds_alpha=True, holds_animation=False, max_side_px=65_535
    ),
}

_SNIFFED_BYTES = 16


class Sniffer:
    """Finds out the format of a file from its first bytes, however they come."""

    def __init__(self) -> None:
        self.head = b""
        """The bytes that have come until the format was known."""

    def feed(self, chunk: bytes) -> Format | None:
        """Return the format once it is known. Raises InputUnsupportedError for what is not on the allow-list."""
        self.head = self.head + chunk if self.head else chunk
        return self._format() if len(self.head) >= _SNIFFED_BYTES else None

    def finish(self) -> Format:
        """Return the format of a file that ends here. Raises InputUnsupportedError."""
        format = self._format()
        if format is None:
            raise InputUnsupportedError(_description(self.head))
        return format

    def _format(self) -> Format | None:
        """Return None where only more bytes can tell."""
        head = self.head
        if head.startswith(b"\xff\xd8\xff"):
            return Format.JPEG
        if head.startswith(png.SIGNATURE):
            return Format.PNG
        if head.startswith((b"GIF87a", b"GIF89a")):
            return Format.GIF
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return Format.WEBP
        is_avif = avif.is_avif(head)
        if is_avif:
            return Format.AVIF
        if is_avif is None:
            return None
        if heic.is_heic(head):
            return Format.HEIC
        raise InputUnsupportedError(_description(head))


def sniff(body: bytes) -> Format:
    """Return the format of these bytes. Raises InputUnsupportedError for anything that is not on the allow-list."""
    sniffer = Sniffer()
    return sniffer.feed(body) or sniffer.finish()


def _description(body: bytes) -> str:
    if not body:
        return "the body is empty; jpeg, png, webp, gif and avif are allowed"
    start = body[:_SNIFFED_BYTES]
    return f"the body begins with {start!r}, which is none of jpeg, png, webp, gif and avif"
