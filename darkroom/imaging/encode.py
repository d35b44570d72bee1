"""Writes the result: the contract's defaults, and which metadata goes along. Equal pixels give equal bytes."""

from __future__ import annotations

from typing import Any

from darkroom.contract.parameters import Format, Metadata, OutputParameters
from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_QUALITY = {Format.JPEG: 80, Format.WEBP: 79, Format.AVIF: 60}
_EFFORT = {Format.WEBP: 2, Format.AVIF: 1, Format.PNG: 6, Format.GIF: 4}
_MAX_EFFORT = {Format.WEBP: 6, Format.AVIF: 9, Format.PNG: 9, Format.GIF: 9}
_COPYRIGHT_FIELD = "exif-ifd0-Copyright"


def encode(image: Image, format: Format, parameters: OutputParameters) -> bytes:
    with vips.faults_of_ours():
        return vips.save(format, image, keep=_kept(parameters.metadata), **_options(format, parameters))


def _kept(metadata: Metadata) -> str:
    """Which kinds of blocks the saver writes; never a profile, for the pixels are sRGB by now."""
    return {Metadata.STRIP: "none", Metadata.COPYRIGHT: "exif", Metadata.ALL: "exif+xmp+iptc"}[metadata].replace(
        "+", ":"
    )


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
