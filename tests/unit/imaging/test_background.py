"""The background is laid once, in its own colour, under whatever picture."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.imaging.drawings import body_of, resized

SIDE = 64


def holed(mode: str) -> Image.Image:
    """A grey square of 200 on nothing."""
    image = Image.new("LA", (SIDE, SIDE), (90, 0))
    image.paste((200, 255), (16, 16, 48, 48))
    return image.convert(mode)


def raw_png(colour_type: int, bits: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, bits, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def holed_pictures() -> dict[str, bytes]:
    samples = np.asarray(holed("LA")).astype(int)
    grey, alpha = samples[..., 0], samples[..., 1]
    inside = (alpha > 0).astype(np.uint8)

    def rows(one: Any) -> bytes:
        return b"".join(b"\0" + row.tobytes() for row in one)

    return {
        "grey": body_of(holed("LA"), "PNG"),
        "grey in 16 bits": raw_png(4, 16, rows((samples * 257).astype(">u2"))),
        "grey in 16 bits with a transparent value": raw_png(
            0, 16, rows((grey * 257).astype(">u2")), (b"tRNS", struct.pack(">H", 90 * 257))
        ),
        "palette": raw_png(
            3, 8, rows(inside), (b"PLTE", bytes((90, 90, 90, 200, 200, 200))), (b"tRNS", bytes((0, 255)))
        ),
        "colour": body_of(holed("RGBA"), "PNG"),
        "webp": body_of(holed("RGBA"), "WEBP", lossless=True),
        "avif": body_of(holed("RGBA"), "AVIF", quality=100),
        "gif": body_of(holed("RGBA"), "GIF"),
    }


@pytest.mark.parametrize("fit", ["inside", "contain"])
@pytest.mark.parametrize(
    ("background", "wanted"),
    [
        ("#ff0000", (255, 0, 0)),
        ("#808080", (128, 128, 128)),
        ("#00000080", (127, 127, 127)),
        ("#ff000080", (255, 127, 127)),
        ("transparent", (255, 255, 255)),
    ],
)
@pytest.mark.parametrize("kind", sorted(holed_pictures()))
def test_the_background_is_the_same_beside_and_under_the_picture(
    kind: str, background: str, wanted: tuple[int, int, int], fit: str
) -> None:
    width = SIDE // 2
    height = width * 2 if fit == "contain" else width
    seen = resized(
        holed_pictures()[kind], width=width, height=height, fit=fit, format="jpeg", background=background, quality=98
    )
    beside, under = seen[2, 2], seen[seen.shape[0] // 2, 3]
    assert np.abs(beside - wanted).max() <= 3
    assert np.abs(under - wanted).max() <= 3
    assert np.abs(seen[seen.shape[0] // 2, width // 2] - 200).max() <= 3


def test_a_translucent_background_stays_translucent_where_the_format_holds_it() -> None:
    body = body_of(holed("RGBA"), "PNG")
    seen = resized(body, "RGBA", width=SIDE, height=2 * SIDE, fit="contain", background="#00000080")
    assert tuple(seen[2, 2]) == (0, 0, 0, 128)
    assert seen[SIDE, 3, 3] == 0, "the background pads; nothing is laid under a picture that keeps its alpha"


def test_a_grey_picture_on_a_grey_background_stays_grey() -> None:
    image = Image.new("LA", (8, 8), (50, 128))
    body = body_of(image, "PNG")
    seen = resized(body, width=8, format="jpeg", background="#969696", quality=98)
    assert np.abs(seen - (50 * 128 + 150 * 127) / 255).max() <= 2
    assert Image.open(io.BytesIO(body)).mode == "LA"
