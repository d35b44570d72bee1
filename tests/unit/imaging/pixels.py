"""Inspects results with another decoder than the one under test, and measures how similar two pictures are."""

from __future__ import annotations

import io
from math import inf, log10
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

Rgb: TypeAlias = tuple[int, int, int]


def opened(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def rgb_at(body: bytes, across: float, down: float) -> Rgb:
    """Return the colour at a position given as fractions of the width and the height."""
    image = opened(body).convert("RGB")
    pixel = image.getpixel(
        (min(int(across * image.width), image.width - 1), min(int(down * image.height), image.height - 1))
    )
    if not isinstance(pixel, tuple):
        raise TypeError("an RGB picture has three samples")
    return int(pixel[0]), int(pixel[1]), int(pixel[2])


def frames_of(body: bytes) -> list[Image.Image]:
    image = Image.open(io.BytesIO(body))
    return [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]


def close(seen: Rgb, wanted: Rgb, tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(seen, wanted, strict=True))


def samples(body: bytes) -> NDArray[np.float64]:
    return np.asarray(opened(body).convert("RGB"), dtype=np.float64)


def psnr_db(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio; infinite for equal pictures."""
    if one.shape != other.shape:
        raise ValueError(f"pictures of {one.shape} and {other.shape} cannot be compared")
    error = float(np.mean((one - other) ** 2))
    return inf if error == 0 else 10 * log10(255**2 / error)
