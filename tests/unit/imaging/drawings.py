"""Pictures that show where pixels end up and how sharp they are, made with Pillow and numpy, and the wanted result."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import Shrink, render

Samples = NDArray[np.float64]


def body_of(image: Image.Image, format: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, format, **options)
    return body.getvalue()


def decoded(body: bytes, mode: str = "RGB") -> Samples:
    return np.asarray(Image.open(io.BytesIO(body)).convert(mode), dtype=np.float64)


def resized(body: bytes, mode: str = "RGB", *, shrink: Shrink = Shrink.FAST, **fields: Any) -> Samples:
    """Return the pixels of our result, which is stored without loss unless another format is asked for."""
    parameters = parse_parameters(ResizeParameters, {"format": "png", **fields})
    return decoded(render(body, parameters, Limits(), shrink=shrink).body, mode)


def by_lanczos(body: bytes, width: int, height: int) -> Samples:
    """Return the pixels that Pillow makes of a full decode."""
    image = Image.open(io.BytesIO(body)).convert("RGB")
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float64)


def framed(width: int, height: int, thickness: int = 7) -> Image.Image:
    """A white picture with a red frame."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width - 1, height - 1), outline=(255, 0, 0), width=thickness)
    return image


def clouds(width: int, height: int) -> Image.Image:
    """Soft random colours, whose slopes show the smallest displacement."""
    noise = np.random.default_rng(3).integers(0, 255, (height // 40 + 2, width // 40 + 2, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def text_page(side: int, size_px: int = 22) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size_px)
    words = "The quick brown fox jumps over the lazy dog 0123456789 " * 20
    for line, top in enumerate(range(4, side, size_px * 4 // 3)):
        draw.text((4, top), words[line % 17 : line % 17 + side // 6], fill="black", font=font)
    return image


def zone_plate(side: int) -> Image.Image:
    """Rings from the coarsest in the middle to half of the finest at the edges."""
    down, across = np.mgrid[0:side, 0:side]
    squared = (across - side / 2) ** 2 + (down - side / 2) ** 2
    rings = 127.5 + 127.5 * np.cos(np.pi * squared / side / 2)
    return Image.fromarray(rings.round().astype(np.uint8)).convert("RGB")


def displacement_px(seen: Samples, wanted: Samples) -> float:
    """Return by how much the picture lies beside the wanted one in the worse axis, by least squares over its slopes."""
    slopes = np.gradient(wanted, axis=(1, 0))
    across, down = (slope.ravel() for slope in slopes)
    found, *_ = np.linalg.lstsq(np.stack([across, down], axis=1), (seen - wanted).ravel(), rcond=None)
    return float(np.abs(found).max())
