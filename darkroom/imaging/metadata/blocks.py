"""Decides which metadata a result gets, by what was asked and by what its format can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from darkroom.contract.parameters.values import Format, Metadata
from darkroom.imaging import vips
from darkroom.imaging.geometry import Size
from darkroom.imaging.metadata import exif, iptc, xmp
from darkroom.imaging.vips import Image

_EXIF_FIELD, _XMP_FIELD, _IPTC_FIELD = "exif-data", "xmp-data", "iptc-data"


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """What is written into a result; an empty block is left out."""

    exif: bytes = b""
    """With the header `Exif`, two zero bytes, as in a JPEG segment."""
    xmp: bytes = b""
    iptc: bytes = b""
    """Photoshop's resources, as in a JPEG segment."""


def kept_blocks(image: Image, format: Format, metadata: Metadata, size: Size) -> Blocks:
    """Return the blocks for a result of that format and size made from this picture."""
    if metadata is Metadata.STRIP:
        return Blocks()
    source = Blocks(exif=_block(image, _EXIF_FIELD), xmp=_block(image, _XMP_FIELD), iptc=_block(image, _IPTC_FIELD))
    kept = _rights_only(source) if metadata is Metadata.COPYRIGHT else _for_new_pixels(source, size)
    return _held_by(format, kept)


def _block(image: Image, field: str) -> bytes:
    return bytes(image.get(field)) if vips.has_field(image, field) else b""


def _rights_only(source: Blocks) -> Blocks:
    return Blocks(
        exif=exif.rights_only(source.exif), xmp=xmp.rights_only(source.xmp), iptc=iptc.rights_only(source.iptc)
    )


def _for_new_pixels(source: Blocks, size: Size) -> Blocks:
    return Blocks(
        exif=exif.for_new_pixels(source.exif, size),
        xmp=xmp.for_new_pixels(source.xmp),
        iptc=iptc.for_new_pixels(source.iptc),
    )


def _held_by(format: Format, kept: Blocks) -> Blocks:
    """Return the blocks that the format can hold, with the rights of the others carried over.

    Only JPEG holds IPTC, and GIF holds XMP alone.
    """
    if format is Format.JPEG:
        is_small = len(kept.xmp) <= xmp.MAX_JPEG_BYTES
        return kept if is_small else replace(kept, xmp=xmp.rights_only(kept.xmp))
    artist, notice = _rights_of(kept)
    if format is Format.GIF:
        return Blocks(xmp=kept.xmp if xmp.has_rights(kept.xmp) else xmp.of_rights(artist=artist, notice=notice))
    block = kept.exif
    if not any(exif.rights(block)):
        block = exif.with_rights(block, artist=artist, notice=notice)
    return Blocks(exif=block, xmp=kept.xmp)


def _rights_of(kept: Blocks) -> tuple[bytes, bytes]:
    """Return the author and the copyright notice by EXIF, or else by IPTC."""
    by_exif, by_iptc = exif.rights(kept.exif), iptc.rights(kept.iptc)
    return by_exif[0] or by_iptc[0], by_exif[1] or by_iptc[1]
