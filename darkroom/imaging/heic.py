"""Decodes HEIC by pi-heif, a package of an extra of its own: libvips' wheel has no decoder for HEVC."""

from __future__ import annotations

from typing import Any

from darkroom.imaging import vips
from darkroom.imaging.vips import Image

_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_FIELDS = {"icc_profile": "icc-profile-data", "exif": "exif-data", "xmp": "xmp-data"}


def load(body: bytes) -> Image:
    """Return the primary picture as it is shown, 8 bits per sample, with its profile and metadata. Raises pyvips.Error.

    The decoder turns and mirrors the picture; the EXIF block's orientation says the same again, and is not to be
    followed (ISO/IEC 23008-12, 6.5.10; libheif's documentation).
    """
    try:
        return _decoded(body)
    except Exception as exc:
        # The package does not say what it raises for damaged files; it was seen to raise IndexError.
        raise vips.library().Error(f"heif: the decoder failed: {exc}") from exc


def _decoded(body: bytes) -> Image:
    # Imported here, because it is not installed everywhere.
    import pi_heif

    file = pi_heif.open_heif(body, convert_hdr_to_8bit=True)
    picture = file[file.primary_index]
    bands = _BANDS.get(picture.mode)
    if bands is None:
        raise ValueError(f"pixels of mode {picture.mode}")
    width, height = picture.size
    image = vips.library().Image.new_from_memory(_rows(picture, width * bands, height), width, height, bands, "uchar")
    image = image.copy(interpretation="srgb" if bands >= 3 else "b-w")
    for name, field in _FIELDS.items():
        if picture.info.get(name):
            vips.set_blob(image, field, bytes(picture.info[name]))
    return image


def _rows(picture: Any, row_bytes: int, height: int) -> bytes:
    """Return the pixels without what pads the rows."""
    data, stride = bytes(picture.data), picture.stride
    if stride == row_bytes:
        return data[: row_bytes * height]
    return b"".join(data[at : at + row_bytes] for at in range(0, stride * height, stride))
