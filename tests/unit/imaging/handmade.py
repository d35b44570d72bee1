"""Files made byte by byte, that no encoder would write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

SIDE_ACROSS, SIDE_DOWN = 160, 120


def picture(mode: str = "RGB", width: int = SIDE_ACROSS, height: int = SIDE_DOWN) -> Image.Image:
    """A gradient with edges: no two rows or columns are alike. With alpha, it is as opaque as it is red."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes(((x * 3) % 256, (y * 2) % 256, (x * y // 7) % 256))
    image = Image.frombytes("RGB", (width, height), bytes(pixels))
    if mode == "RGBA":
        image.putalpha(image.getchannel("R"))
    return image.convert(mode)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


# --- png -------------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """The PNG with these chunks before its pixels."""
    place = png.index(b"IDAT") - 4
    return png[:place] + b"".join(chunks) + png[place:]


def text_bomb(times: int) -> bytes:
    """A small PNG whose compressed text has 7 MB a chunk."""
    packed = zlib.compress(b"x" * 7_000_000, 9)
    return with_chunks(saved(picture(), "PNG"), *(chunk(b"zTXt", b"C%d\0\0" % i + packed) for i in range(times)))


# --- jpeg ------------------------------------------------------------------------------------------------------------


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with these segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def frame_header_offset(jpeg: bytes) -> int:
    """Return the offset of the marker of the frame header."""
    offset = 2
    while jpeg[offset + 1] not in (0xC0, 0xC1, 0xC2):
        offset += 2 + int.from_bytes(jpeg[offset + 2 : offset + 4], "big")
    return offset


def scan_parameters_offset(jpeg: bytes) -> int:
    """Return the offset of the last three bytes of the first scan's header."""
    offset = jpeg.index(b"\xff\xda")
    return offset + 2 + int.from_bytes(jpeg[offset + 2 : offset + 4], "big") - 3


def replaced(body: bytes, offset: int, data: bytes) -> bytes:
    return body[:offset] + data + body[offset + len(data) :]


def scan_bomb(scans: int, *, width: int = 7000, height: int = 7000) -> bytes:
    """A grey progressive JPEG: one DC scan, then scans of AC coefficients that hold nothing (T.81, G.1.2.2)."""
    blocks = -(-width // 8) * -(-height // 8)
    one_code = bytes((1, *(0 for _ in range(15))))
    # Each code is one bit, 0. For DC it says "no difference"; for AC: a run of 2**14 + 14 further bits of empty blocks.
    runs = -(-blocks // 32767)
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    empty = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")
    header = (
        b"\xff\xd8"
        + segment(0xDB, b"\x00" + b"\x01" * 64)
        + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
        + segment(0xC4, b"\x00" + one_code + b"\x00")
        + segment(0xC4, b"\x10" + one_code + b"\xe0")
    )
    first = segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + bytes(-(-blocks // 8))
    return header + first + (segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + empty) * scans + b"\xff\xd9"


# --- webp ------------------------------------------------------------------------------------------------------------


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) & 1)


def extended_header(width: int, height: int, flags: int = 0) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


def frame_bomb(frames: int) -> bytes:
    """A WebP of so many frames of one pixel."""
    pixel = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = riff_chunk(b"ANMF", bytes(12) + b"\x10\x00\x00\x00" + pixel)
    return riff(extended_header(1, 1, flags=2), riff_chunk(b"ANIM", bytes(6)), frame * frames)


# --- gif -------------------------------------------------------------------------------------------------------------


def animated_gif(frames: int, side: int = 20) -> bytes:
    """A GIF of frames of which no two neighbours are equal: Pillow would join them."""
    images = []
    for index in range(frames):
        image = Image.new("P", (side, side), index % 200)
        image.putpalette([value for colour in range(256) for value in (colour, 255 - colour, (colour * 7) % 256)])
        images.append(image)
    return saved(images[0], "GIF", save_all=True, append_images=images[1:], duration=50)


def gif_colours_end(gif: bytes) -> int:
    """Return where the first block begins."""
    return 13 + (3 << ((gif[10] & 7) + 1) if gif[10] & 0x80 else 0)


# --- avif ------------------------------------------------------------------------------------------------------------


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def samples() -> dict[str, bytes]:
    """One of each kind of file that is decoded, small."""
    image, alpha = picture(width=24, height=16), picture("RGBA", 24, 16)
    frames = [image.rotate(angle) for angle in (0, 90, 180)]
    exif = Image.Exif()
    exif[0x0112] = 6
    tagged: dict[str, Any] = {"exif": exif.tobytes(), "xmp": b"<x:xmpmeta/>"}
    return {
        "jpeg": saved(image, "JPEG", **tagged),
        "progressive jpeg": saved(image, "JPEG", progressive=True),
        "jpeg with restarts": saved(image, "JPEG", restart_marker_blocks=1),
        "cmyk jpeg": saved(image.convert("CMYK"), "JPEG"),
        "png": saved(alpha, "PNG", **tagged),
        "png of a palette": saved(image.convert("P"), "PNG", transparency=3),
        "apng": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "webp": saved(image, "WEBP"),
        "lossless webp": saved(alpha, "WEBP", lossless=True, **tagged),
        "animated webp": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "gif": saved(image.convert("P"), "GIF", transparency=1),
        "animated gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "avif": saved(alpha, "AVIF", **tagged),
        "avif sequence": saved(frames[0], "AVIF", save_all=True, append_images=frames[1:]),
    }
