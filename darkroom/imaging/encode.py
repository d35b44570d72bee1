"""Writes the result: the contract's defaults, and which metadata goes along. Equal pixels give equal bytes."""

from __future__ import annotations

import re
from typing import Any

from darkroom.contract.parameters import Format, Metadata, OutputParameters
from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_QUALITY = {Format.JPEG: 80, Format.WEBP: 79, Format.AVIF: 60}
_EFFORT = {Format.WEBP: 2, Format.AVIF: 1, Format.PNG: 6, Format.GIF: 4}
_MAX_EFFORT = {Format.WEBP: 6, Format.AVIF: 9, Format.PNG: 9, Format.GIF: 9}
_COPYRIGHT_FIELD = "exif-ifd0-Copyright"
_SHOWN_TEXT = re.compile(r"(?P<text>.*) \((?P=text), \w+, \d+ components, \d+ bytes\)", re.DOTALL)
# Never a profile, for the pixels are in sRGB by now, and never a thumbnail, which would show what was cut off.
_KEPT_BLOCKS = {Metadata.STRIP: "none", Metadata.COPYRIGHT: "exif", Metadata.ALL: "exif:xmp:iptc"}


def encode(image: Image, format: Format, parameters: OutputParameters) -> bytes:
    if parameters.metadata is Metadata.COPYRIGHT:
        image = _with_copyright_only(image)
    return vips.save(format, image, keep=_KEPT_BLOCKS[parameters.metadata], **_options(format, parameters))


def _with_copyright_only(image: Image) -> Image:
    """libvips writes the EXIF block anew from the fields it finds."""
    bare = image.copy()
    for field in image.get_fields():
        if field.startswith("exif-"):
            bare.remove(field)
    if vips.has_field(image, _COPYRIGHT_FIELD):
        # On the way back libvips drops the last words in brackets; these are there to be dropped.
        vips.set_text(bare, _COPYRIGHT_FIELD, f"{_text_of(image.get(_COPYRIGHT_FIELD))} ()")
    return bare


def _text_of(field: str) -> str:
    """libvips shows an EXIF text as `text (text, type, components, bytes)`."""
    shown = _SHOWN_TEXT.fullmatch(field)
    return (shown["text"] if shown else field).strip()


def _options(format: Format, parameters: OutputParameters) -> dict[str, Any]:
    quality = parameters.quality if parameters.quality is not None else _QUALITY.get(format)
    effort = min(
        parameters.effort if parameters.effort is not None else _EFFORT.get(format, 0), _MAX_EFFORT.get(format, 0)
    )
    match format:
        case Format.JPEG:
            return {"Q": quality, "optimize_coding": True, "interlace": parameters.progressive}
        case Format.PNG:
            return {"compression": effort, "interlace": parameters.progressive}
        case Format.WEBP:
            return {"Q": quality, "effort": effort}
        case Format.AVIF:
            return {"Q": quality, "effort": effort, "compression": "av1", "bitdepth": 8}
        case Format.GIF:
            return {"effort": max(1, effort), "interlace": parameters.progressive}
        case Format.KEEP:
            raise ValueError("keep is not a format to write")
