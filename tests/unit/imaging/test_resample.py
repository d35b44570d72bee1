"""Frames of a strip are scaled in one step where that is faster, without any visible difference."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from darkroom.contract.parameters.values import Format
from darkroom.imaging.cut import Cut
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Rect, Size
from darkroom.imaging.photograph import photograph
from darkroom.imaging.resample import resample
from darkroom.imaging.vips import library, load
from tests import pictures

WIDTH, HEIGHT = 61, 47


def frames(alpha: bool) -> list[Any]:
    first = pictures.disc_with_alpha(WIDTH, HEIGHT) if alpha else photograph(WIDTH, HEIGHT, seed=3).copy_memory()
    return [first, first.invert().copy_memory(), first.flip("vertical").copy_memory()]


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    source = draw(st.none() | areas(Size(width=WIDTH, height=HEIGHT)))
    scaled = Size(width=draw(st.integers(1, 90)), height=draw(st.integers(1, 90)))
    return Cut(source=source, scaled=scaled, window=draw(areas(scaled)))


@st.composite
def areas(draw: st.DrawFn, whole: Size) -> Rect:
    width, height = draw(st.integers(1, whole.width)), draw(st.integers(1, whole.height))
    left, top = draw(st.integers(0, whole.width - width)), draw(st.integers(0, whole.height - height))
    return Rect(left=left, top=top, width=width, height=height)


@settings(deadline=None, max_examples=60)
@given(work=cuts(), alpha=st.booleans())
def test_a_frame_among_others_becomes_the_same_pixels_as_alone(work: Cut, alpha: bool) -> None:
    single = frames(alpha)
    strip = library().Image.arrayjoin(single, across=1)
    together = resample(strip, len(single), work, comes_premultiplied=False).numpy()
    alone = [resample(frame, 1, work, comes_premultiplied=False).numpy() for frame in single]
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_what_comes_premultiplied_needs_no_premultiplying(disposal: int) -> None:
    assert [format for format in TRAITS if TRAITS[format].comes_premultiplied] == [Format.GIF]
    strip = load(Format.GIF, gif_with_holes(disposal), n=-1).copy_memory()
    assert strip.bands == 4
    assert strip[3].min() == 0, "there must be something transparent in it"
    assert np.array_equal(strip.numpy(), strip.premultiply().cast("uchar").numpy())


def gif_with_holes(disposal: int) -> bytes:
    """Make it with Pillow, whose transparent pixels have a colour in the palette."""
    drawn = []
    for index in range(4):
        frame = Image.new("RGBA", (WIDTH, HEIGHT), (0, 255, 0, 0))
        ImageDraw.Draw(frame).ellipse((4 * index, 3, 30 + 4 * index, 40), fill=(200, 60 * index, 90, 255))
        drawn.append(frame)
    body = io.BytesIO()
    drawn[0].save(body, "gif", save_all=True, append_images=drawn[1:], disposal=disposal)
    return body.getvalue()
