"""Encodes the result: the contract's defaults, and which metadata is kept. Equal pixels give equal bytes."""

from __future__ import annotations

import re
from typing import Any

from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Format, Metadata
from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_DEFAULT_QUALITY = {Format.JPEG: 80, Format.WEBP: 79, Format.AVIF: 60}
_DEFAULT_EFFORT = {Format.WEBP: 2, Format.AVIF: 1, Format.PNG: 3, Format.GIF: 4}
# The efforts that each format's saver accepts; the contract's go from 0 to 9.
_EFFORTS = {Format.WEBP: (0, 6), Format.AVIF: (0, 9), Format.PNG: (0, 9), Format.GIF: (1, 9)}
# A GIF's own palette is reused for its smaller copy, at half the work, unless the palette is so small that it has no
# mixed colours.
_WHOLE_PALETTE = 256
_COPYRIGHT_FIELD = "exif-ifd0-Copyright"
_SHOWN_TEXT = re.compile(r"(?P<text>.*) \((?P=text), \w+, \d+ components, \d+ bytes\)", re.DOTALL)
# Never a profile, since the pixels are in sRGB by now, and never a thumbnail, which would show what was cropped away.
_KEPT_BLOCKS = {Metadata.STRIP: "none", Metadata.COPYRIGHT: "exif", Metadata.ALL: "exif:xmp:iptc"}


def encode(image: Image, format: Format, parameters: OutputParameters) -> bytes:
    if parameters.metadata is Metadata.COPYRIGHT:
        image = _with_copyright_only(image)
    return vips.save(format, image, keep=_KEPT_BLOCKS[parameters.metadata], **_saver_options(image, format, parameters))


def _with_copyright_only(image: Image) -> Image:
    """Remove all metadata but the copyright fields. libvips writes the EXIF block anew from the fields it finds."""
    bare = image.copy()
    for field in image.get_fields():
        if field.startswith("exif-"):
            bare.remove(field)
    if vips.has_field(image, _COPYRIGHT_FIELD):
        # On writing, libvips drops the last words in brackets, so brackets are added for it to drop.
        vips.set_text(bare, _COPYRIGHT_FIELD, f"{_text_of(image.get(_COPYRIGHT_FIELD))} ()")
    return bare


def _text_of(field: str) -> str:
    """Extract the text of an EXIF field, which libvips shows as `text (text, type, components, bytes)`."""
    shown = _SHOWN_TEXT.fullmatch(field)
    return (shown["text"] if shown else field).strip()


def _saver_options(image: Image, format: Format, parameters: OutputParameters) -> dict[str, Any]:
    effort, interlace = effort_of(format, parameters), parameters.progressive
    match format:
        case Format.JPEG:
            return {"Q": _quality(format, parameters), "optimize_coding": True, "interlace": interlace}
        case Format.PNG:
            # Filtered by the left neighbour, a photograph is a third smaller and deflate has less to search: effort 3
            # takes less time than libvips' default, an unfiltered 6.
            return {"compression": effort, "filter": "sub", "interlace": interlace}
        case Format.WEBP:
            return {"Q": _quality(format, parameters), "effort": effort}
        case Format.AVIF:
            return {"Q": _quality(format, parameters), "effort": effort, "compression": "av1", "bitdepth": 8}
        case Format.GIF:
            return {"effort": effort, "interlace": interlace, "reuse": vips.palette_size(image) >= _WHOLE_PALETTE}
        case Format.KEEP:
            raise ValueError("keep is not a format to write")


def _quality(format: Format, parameters: OutputParameters) -> int:
    return _DEFAULT_QUALITY[format] if parameters.quality is None else parameters.quality


def effort_of(format: Format, parameters: OutputParameters) -> int:
    """Return the effort passed to the format's saver; 0 where it has none."""
    least, most = _EFFORTS.get(format, (0, 0))
    asked = _DEFAULT_EFFORT.get(format, 0) if parameters.effort is None else parameters.effort
    return max(least, min(asked, most))
