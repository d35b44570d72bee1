"""Sharpening changes what is visible, and by nothing that is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.unit.imaging.drawings import body_of, resized, text_page


def disc(side: int, colour: Any, hidden: Any, mode: str = "RGBA") -> bytes:
    image = Image.new("RGBA", (side, side), (*hidden, 0))
    ImageDraw.Draw(image).ellipse((side // 5, side // 5, side * 4 // 5, side * 4 // 5), fill=(*colour, 255))
    return body_of(image.convert(mode), "PNG")


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (255, 0, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("width", [200, 67])
@pytest.mark.parametrize("sigma", [0.5, 2])
def test_a_disc_gets_no_ring_whatever_is_hidden_around_it(
    sigma: float, width: int, mode: str, hidden: tuple[int, int, int]
) -> None:
    seen = resized(disc(200, (120, 120, 120), hidden, mode), "RGBA", width=width, sharpen=sigma)
    assert np.abs(seen[seen[..., 3] > 8][:, :3] - 120).max() <= 3


def test_a_ring_is_not_drawn_in_an_animation_either() -> None:
    frames = [Image.new("RGBA", (60, 60), (255, 255, 255, 0)) for _ in range(2)]
    for index, frame in enumerate(frames):
        ImageDraw.Draw(frame).rectangle((10 + index, 10, 40 + index, 40), fill=(120, 120, 120, 255))
    body = body_of(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True, exact=True)
    seen = resized(body, "RGBA", width=30, sharpen=2, animation="all", format="webp", quality=100)
    assert np.abs(seen[seen[..., 3] > 128][:, :3] - 120).max() <= 6


def test_alpha_is_not_sharpened() -> None:
    image = Image.new("RGBA", (64, 64))
    image.putalpha(Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))))
    body = body_of(image, "PNG")
    assert np.array_equal(resized(body, "RGBA", width=64, sharpen=3)[..., 3], resized(body, "RGBA", width=64)[..., 3])


def test_what_is_opaque_is_sharpened_as_without_alpha() -> None:
    image = text_page(96)
    opaque, plain = body_of(image.convert("RGBA"), "PNG"), body_of(image, "PNG")
    assert np.array_equal(resized(opaque, width=96, sharpen=1.5), resized(plain, width=96, sharpen=1.5))
    assert not np.array_equal(resized(plain, width=96, sharpen=1.5), resized(plain, width=96))
