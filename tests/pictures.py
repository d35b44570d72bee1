"""Test pictures, made by our own code, each with something that a decoder or a thumbnailer gets wrong.

Photographs come from `darkroom.imaging.photograph`. Hostile bodies are made byte by byte, for no library would write
them.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from darkroom.contract.parameters.values import Format
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import Image, library, save

Rgb = tuple[int, int, int]

RED: Rgb = (200, 30, 30)
GREEN: Rgb = (30, 160, 40)
BLUE: Rgb = (30, 50, 190)
YELLOW: Rgb = (220, 200, 40)

FRAME_COLOURS: tuple[Rgb, ...] = (RED, GREEN, BLUE, YELLOW, (150, 60, 170))
FRAME_DELAYS_MS = (40, 80, 120, 200, 400)
LOOPS = 3

_LOSSLESS: dict[Format, dict[str, Any]] = {
    Format.JPEG: {"Q": 95, "subsample_mode": "off"},
    Format.PNG: {"compression": 1},
    Format.WEBP: {"lossless": True, "effort": 0},
    Format.AVIF: {"Q": 90, "effort": 0, "compression": "av1", "subsample_mode": "off"},
    Format.GIF: {"effort": 1},
}


def encoded(image: Image, format: Format, **options: Any) -> bytes:
    """As close to the pixels as the format comes, with all metadata that the image carries."""
    return save(format, image, **{"keep": "all", **_LOSSLESS[format], **options})


# --- what people send ------------------------------------------------------------------------------------------------


def plain(width: int, height: int, colour: Rgb = RED) -> Image:
    return (
        library().Image.black(width, height, bands=3).linear(0, list(colour)).cast("uchar").copy(interpretation="srgb")
    )


def quarters(width: int, height: int) -> Image:
    """Red, green, blue and yellow, from the top left to the bottom right: shows turns, mirrors and crops."""
    left, top = width // 2, height // 2
    upper = plain(left, top, RED).join(plain(width - left, top, GREEN), "horizontal")
    lower = plain(left, height - top, BLUE).join(plain(width - left, height - top, YELLOW), "horizontal")
    return upper.join(lower, "vertical").copy_memory()


def photo(format: Format, width: int = 640, height: int = 480, *, seed: int = 1, **options: Any) -> bytes:
    return encoded(_photograph(width, height, seed), format, **options)


@cache
def _photograph(width: int, height: int, seed: int) -> Image:
    return photograph(width, height, seed=seed)


def oriented(image: Image, orientation: int, format: Format = Format.JPEG) -> bytes:
    """The upright picture stored as a camera of that EXIF orientation would."""
    # What is stored must be turned by the orientation's inverse; all but 6 and 8 are their own.
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = image.copy()
    stored.set_type(library().GValue.gint_type, "orientation", inverse)
    stored = stored.autorot().copy()
    stored.set_type(library().GValue.gint_type, "orientation", orientation)
    return encoded(stored, format)


def disc_with_alpha(width: int, height: int) -> Image:
    """A red disc with a soft edge; the invisible pixels around it are green, and must not be seen."""
    position = library().Image.xyz(width, height)
    radius = min(width, height) * 0.35
    distance = ((position[0] - width / 2) ** 2 + (position[1] - height / 2) ** 2) ** 0.5
    alpha = ((distance - radius) * -8 + 128).cast("uchar")
    inside = (alpha > 0).ifthenelse(list(RED), list(GREEN))
    return inside.cast("uchar").bandjoin(alpha).copy(interpretation="srgb").copy_memory()


def animation(format: Format, width: int = 80, height: int = 60, frames: int = 5, **options: Any) -> bytes:
    """Each frame has its own colour with a white stripe down its left edge."""
    pictures = []
    for index in range(frames):
        frame = plain(width, height, FRAME_COLOURS[index % len(FRAME_COLOURS)])
        pictures.append(frame.insert(plain(max(1, width // 8), height, (255, 255, 255)), 0, 0))
    strip = library().Image.arrayjoin(pictures, across=1).copy()
    delays = [FRAME_DELAYS_MS[index % len(FRAME_DELAYS_MS)] for index in range(frames)]
    strip.set_type(library().GValue.gint_type, "page-height", height)
    strip.set_type(library().GValue.gint_type, "loop", LOOPS)
    strip.set_type(library().GValue.array_int_type, "delay", delays)
    return encoded(strip, format, **options)


def cmyk_jpeg(image: Image, *, with_profile: bool) -> bytes:
    separated = image.icc_transform("cmyk", input_profile="srgb")
    return save(Format.JPEG, separated, Q=95, keep="icc" if with_profile else "none")


def wide_gamut(image: Image, format: Format) -> bytes:
    """The same colours, written as Display P3 with its profile."""
    return save(format, image.icc_transform("p3", input_profile="srgb"), keep="icc", **_LOSSLESS[format])


def with_broken_profile(image: Image, space: bytes) -> bytes:
    """A JPEG whose profile has a good header for that colour space and nothing behind it."""
    profile = bytearray(132)
    profile[0:4] = struct.pack(">I", len(profile))
    profile[12:16], profile[16:20], profile[20:24], profile[36:40] = b"mntr", space, b"XYZ ", b"acsp"
    data = b"ICC_PROFILE\x00\x01\x01" + bytes(profile)
    body = encoded(image, Format.JPEG)
    return body[:2] + b"\xff\xe2" + struct.pack(">H", len(data) + 2) + data + body[2:]


def sixteen_bit_png(image: Image) -> bytes:
    return save(Format.PNG, image.colourspace("rgb16"), bitdepth=16)


def grey(image: Image) -> Image:
    return image.colourspace("b-w")


def with_metadata(image: Image, format: Format = Format.JPEG) -> bytes:
    """A position, a camera, a copyright, an XMP packet."""
    tagged = image.copy()
    text = library().GValue.gstr_type
    for name, value in {
        "exif-ifd0-Copyright": "Ansel Example",
        "exif-ifd0-Make": "SecretCamera",
        "exif-ifd3-GPSLatitude": "48/1 51/1 30/1",
        "exif-ifd3-GPSLatitudeRef": "N",
        "exif-ifd3-GPSLongitude": "2/1 17/1 40/1",
    }.items():
        tagged.set_type(text, name, value)
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><secret>SecretPacket</secret></x:xmpmeta>'
    tagged.set_type(library().GValue.blob_type, "xmp-data", packet)
    return encoded(tagged, format)


# --- what strangers send ---------------------------------------------------------------------------------------------


def png(width: int, height: int, *, bits: int, rows: bytes) -> bytes:
    """A grey PNG whose pixel data is `rows` as it stands."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pixel_bomb_png(side: int = 30_000) -> bytes:
    """900 megapixels in about 109 KB."""
    return png(side, side, bits=1, rows=bytes((side // 8 + 1) * side))


def jpeg_that_claims(width: int, height: int, *, orientation: int = 1) -> bytes:
    """A small JPEG whose frame header claims another size."""
    body = bytearray(oriented(quarters(64, 48), orientation))
    offset = 2
    while body[offset + 1] not in (0xC0, 0xC1, 0xC2):
        offset += 2 + int.from_bytes(body[offset + 2 : offset + 4], "big")
    body[offset + 5 : offset + 9] = struct.pack(">HH", height, width)
    return bytes(body)


def polyglot_gif() -> bytes:
    """A valid GIF that a browser would run, were it served as a script."""
    picture = encoded(quarters(32, 24), Format.GIF)
    script = b"*/=1;alert(document.cookie);/*"
    comment = b"\x21\xfe" + bytes([len(script)]) + script + b"\x00"
    return picture[:-1] + comment + b";" + script


def avif_with_hevc_inside() -> bytes:
    return encoded(quarters(64, 48), Format.AVIF).replace(b"av01", b"hvc1")


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.jpg", photo(Format.JPEG, 32, 24))
    return buffer.getvalue()


def not_pictures() -> dict[str, bytes]:
    """Bodies that are none of the five formats, by what they are."""
    heic_brands = b"ftypheic" + bytes(4) + b"mif1heic"
    return {
        "empty": b"",
        "one byte": b"\xff",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
        "pdf": b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "tiff": b"II*\x00" + struct.pack("<IHHHII", 8, 1, 256, 3, 1, 1) + bytes(4),
        "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4),
        "heic": struct.pack(">I", len(heic_brands) + 4) + heic_brands + bytes(64),
        "avif brand with hevc items": avif_with_hevc_inside(),
        "zip": zip_file(),
        "ico": b"\x00\x00\x01\x00" + bytes(40),
        "jpeg xl": b"\xff\x0a" + bytes(40),
        "text": b"hello, is this a picture?",
        "html": b"<!doctype html><title>x</title>",
        "riff that is sound": b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28),
    }


def corrupted(body: bytes, places: Sequence[tuple[int, int]]) -> bytes:
    """The body with the byte at each place replaced."""
    changed = bytearray(body)
    for offset, value in places:
        changed[offset % len(changed)] = value
    return bytes(changed)
