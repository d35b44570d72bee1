"""ThumbHash: the lowest frequencies of a small picture in some 25 bytes (github.com/evanw/thumbhash).

The encoder that package registries have fails for pictures with alpha, so this is one of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from math import cos, floor, pi


@dataclass(frozen=True, kw_only=True)
class _Channel:
    """A channel's frequencies: the average, and the others as fractions of the largest."""

    average: float
    largest: float
    others: Sequence[float]
    """Each from 0 to 1, where 0.5 is none of that frequency."""


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Return the ThumbHash of a picture with straight alpha, 8 bits per sample, at most 100 px a side."""
    alpha = [sample / 255 for sample in rgba[3::4]]
    red, green, blue = (_over_average([sample / 255 for sample in rgba[band::4]], alpha) for band in range(3))
    has_alpha = any(sample < 1 for sample in alpha)
    across, down = (max(1, _rounded((5 if has_alpha else 7) * side / max(width, height))) for side in (width, height))
    colours = list(zip(red, green, blue, strict=True))
    # Lightness, yellow against blue, red against green.
    lightness = _channel([(r + g + b) / 3 for r, g, b in colours], width, height, max(3, across), max(3, down))
    yellowness = _channel([(r + g) / 2 - b for r, g, b in colours], width, height, 3, 3)
    redness = _channel([r - g for r, g, _ in colours], width, height, 3, 3)
    opacity = _channel(alpha, width, height, 5, 5) if has_alpha else None
    is_landscape = width > height
    first = (
        _rounded(63 * lightness.average)
        | _rounded(31.5 + 31.5 * yellowness.average) << 6
        | _rounded(31.5 + 31.5 * redness.average) << 12
        | _rounded(31 * lightness.largest) << 18
        | has_alpha << 23
    )
    second = (
        (down if is_landscape else across)
        | _rounded(63 * yellowness.largest) << 3
        | _rounded(63 * redness.largest) << 9
        | is_landscape << 15
    )
    header = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    if opacity is not None:
        header += bytes([_rounded(15 * opacity.average) | _rounded(15 * opacity.largest) << 4])
    channels = [lightness, yellowness, redness] if opacity is None else [lightness, yellowness, redness, opacity]
    return header + _halves([_rounded(15 * value) for value in chain(*(channel.others for channel in channels))])


def _over_average(samples: list[float], alpha: list[float]) -> list[float]:
    """Composite the channel on the average of what is visible of it."""
    visible = sum(alpha)
    average = (
        sum(sample * opacity for sample, opacity in zip(samples, alpha, strict=True)) / visible if visible else 0.0
    )
    return [average * (1 - opacity) + sample * opacity for sample, opacity in zip(samples, alpha, strict=True)]


def _channel(samples: Sequence[float], width: int, height: int, across: int, down: int) -> _Channel:
    """Transform a channel by the discrete cosine transform, of which a triangle of low frequencies is kept."""
    found: list[float] = []
    for row in range(down):
        vertical = _waves(height, down)[row]
        sums = [sum(vertical[y] * samples[x + y * width] for y in range(height)) for x in range(width)]
        for column in range(across):
            if column * down >= across * (down - row):
                break
            horizontal = _waves(width, across)[column]
            found.append(sum(wave * value for wave, value in zip(horizontal, sums, strict=True)) / (width * height))
    average, others = found[0], found[1:]
    largest = max(map(abs, others), default=0.0)
    return _Channel(
        average=average,
        largest=largest,
        others=[0.5 + 0.5 * value / largest for value in others] if largest else others,
    )


@cache
def _waves(length: int, count: int) -> list[list[float]]:
    return [[cos(pi / length * frequency * (place + 0.5)) for place in range(length)] for frequency in range(count)]


def _halves(values: list[int]) -> bytes:
    """Pack values of four bits, the first of two in the lower half."""
    padded = values if len(values) % 2 == 0 else [*values, 0]
    return bytes(low | high << 4 for low, high in zip(padded[::2], padded[1::2], strict=True))


def _rounded(value: float) -> int:
    """Round halves up, as the reference does."""
    return floor(value + 0.5)
