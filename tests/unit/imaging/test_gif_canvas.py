"""What no frame of a GIF covers is transparent; in a format without alpha it is the background."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import render
from tests.unit.imaging.drawings import Samples, resized

KEEP, CLEAR, RESTORE = 1, 2, 3
GREEN, RED, BLUE, WHITE = (0, 255, 0), (200, 30, 30), (30, 50, 190), (255, 255, 255)
PALETTE = (GREEN, RED, BLUE, WHITE)
SIDE = 40


@dataclass(frozen=True)
class Frame:
    area: tuple[int, int, int, int]
    """Left, top, width, height."""
    colour: tuple[int, int, int]
    disposal: int = KEEP


def gif(*frames: Frame) -> bytes:
    """A GIF of plain areas without a transparent colour; its background colour is green."""
    body = b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0x81, 0, 0) + bytes(sum(PALETTE, ()))
    for frame in frames:
        body += b"\x21\xf9\x04" + bytes([frame.disposal << 2]) + struct.pack("<HB", 10, 0) + b"\0"
        body += b"," + struct.pack("<HHHHB", *frame.area, 0)
        body += _plain_pixels(frame.area[2] * frame.area[3], PALETTE.index(frame.colour))
    return body + b";"


def _plain_pixels(count: int, index: int) -> bytes:
    """LZW codes of three bits: a clear code before each pixel keeps them from growing."""
    codes = [code for _ in range(count) for code in (4, index)] + [5]
    bits = sum(code << (3 * place) for place, code in enumerate(codes))
    data = bits.to_bytes(-(-3 * len(codes) // 8), "little")
    blocks = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
    return b"\x02" + blocks + b"\0"


def frames_of(body: bytes, format: str) -> list[Samples]:
    parameters = parse_parameters(ResizeParameters, {"width": SIDE, "animation": "all", "format": format})
    image = Image.open(io.BytesIO(render(body, parameters, Limits()).body))
    seen = []
    for index in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(index)
        seen.append(np.asarray(image.convert("RGBA"), dtype=np.float64))
    return seen


@pytest.mark.parametrize("width", [SIDE, SIDE // 2])
@pytest.mark.parametrize("area", [(5, 5, 20, 20), (0, 0, 40, 20), (20, 0, 20, 40)])
def test_a_still_is_transparent_around_its_frame(area: tuple[int, int, int, int], width: int) -> None:
    left, top, across, down = (side * width // SIDE for side in area)
    wanted = np.zeros((width, width))
    wanted[top : top + down, left : left + across] = 255
    for format in ("png", "webp", "avif", "gif"):
        seen = resized(gif(Frame(area, RED)), "RGBA", width=width, format=format, quality=100)
        inner = np.abs(seen[..., 3] - wanted) > 8
        # Scaling softens the edge.
        assert inner.sum() <= (0 if width == SIDE else 4 * width)
        assert np.abs(seen[top + down // 2, left + across // 2, :3] - RED).max() <= 12


@pytest.mark.parametrize(("background", "wanted"), [("#ffffff", WHITE), ("#ff00ff", (255, 0, 255))])
def test_a_jpeg_shows_the_background_around_the_frame(background: str, wanted: tuple[int, int, int]) -> None:
    body = gif(Frame((0, 0, 24, 40), RED))
    seen = resized(body, width=SIDE, format="jpeg", quality=98, background=background)
    assert np.abs(seen[20, 36] - wanted).max() <= 4
    assert np.abs(seen[20, 8] - RED).max() <= 8


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_each_frame_of_an_animation_covers_what_it_and_those_before_it_drew(format: str) -> None:
    body = gif(
        Frame((5, 5, 20, 20), RED, CLEAR),
        Frame((20, 20, 20, 20), BLUE),
        Frame((0, 0, 10, 10), WHITE, RESTORE),
        Frame((30, 0, 10, 10), RED),
    )
    places = ((2, 2), (12, 12), (30, 30), (5, 35))
    visible = [[bool(frame[place][3] > 128) for place in places] for frame in frames_of(body, format)]
    assert visible == [
        [False, True, False, False],
        [False, False, True, False],
        [True, False, True, False],
        [False, False, True, True],
    ]


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_a_frame_that_clears_what_it_covered_leaves_a_hole(format: str) -> None:
    body = gif(Frame((0, 0, 40, 40), RED), Frame((20, 20, 20, 20), BLUE, CLEAR), Frame((0, 0, 10, 10), WHITE))
    last = frames_of(body, format)[2]
    assert [int(last[place][3]) for place in ((5, 5), (15, 15), (30, 30))] == [255, 255, 0]


def test_frames_that_cover_the_canvas_get_no_alpha() -> None:
    body = gif(Frame((0, 0, 40, 40), RED, CLEAR), Frame((0, 0, 40, 40), BLUE, RESTORE), Frame((0, 0, 40, 40), WHITE))
    for format in ("webp", "png"):
        parameters = parse_parameters(ResizeParameters, {"width": 20, "animation": "all", "format": format})
        assert Image.open(io.BytesIO(render(body, parameters, Limits()).body)).mode == "RGB"


def test_a_frame_that_reaches_over_the_canvas_is_cut() -> None:
    body = gif(Frame((0, 0, 40, 20), RED), Frame((30, 10, 10, 30), BLUE))
    last = frames_of(body, "gif")[1]
    assert [int(last[place][3]) for place in ((10, 10), (30, 35), (30, 10))] == [255, 255, 0]
