"""What a job will cost, estimated from the header and the parameters, so that a hard picture never delays the easy
ones.

The estimates are good to about a factor of two; the figures behind them were measured with benchmarks/imaging.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from darkroom.contract.limits import MEBIBYTE, MEGAPIXEL
from darkroom.contract.parameters import Format, Parameters
from darkroom.imaging.geometry import plan
from darkroom.imaging.probe import Facts
from darkroom.imaging.request import output_format, output_frames


class CostClass(StrEnum):
    STANDARD = "standard"
    HEAVY = "heavy"


@dataclass(frozen=True, kw_only=True)
class Cost:
    cpu_ms: int
    memory_bytes: int

    @property
    def cost_class(self) -> CostClass:
        heavy = self.cpu_ms > STANDARD_CPU_MS or self.memory_bytes > STANDARD_MEMORY_BYTES
        return CostClass.HEAVY if heavy else CostClass.STANDARD


STANDARD_CPU_MS = 1000
STANDARD_MEMORY_BYTES = 160 * MEBIBYTE

_DECODE_MS_PER_MEGAPIXEL = {Format.JPEG: 6, Format.PNG: 12, Format.WEBP: 10, Format.GIF: 10, Format.AVIF: 20}
_ENCODE_MS_PER_MEGAPIXEL = {Format.JPEG: 12, Format.PNG: 80, Format.WEBP: 60, Format.GIF: 200, Format.AVIF: 300}


def estimate(facts: Facts, parameters: Parameters) -> Cost:
    output = plan(facts.size, parameters).output
    frames = output_frames(facts, parameters)
    written = output.pixels * frames / MEGAPIXEL
    read = facts.pixels * frames / MEGAPIXEL
    format = output_format(facts, parameters).format
    cpu_ms = read * _DECODE_MS_PER_MEGAPIXEL[facts.format] + written * _ENCODE_MS_PER_MEGAPIXEL[format]
    memory = _held_while_decoding(facts) + output.pixels * frames * 8
    return Cost(cpu_ms=round(cpu_ms), memory_bytes=round(memory))


def cost_class(facts: Facts, parameters: Parameters) -> CostClass:
    return estimate(facts, parameters).cost_class


def _held_while_decoding(facts: Facts) -> int:
    """A baseline JPEG or PNG passes through row by row; anything else is in memory whole before its first row."""
    if facts.format in (Format.JPEG, Format.PNG) and not facts.progressive:
        return 0
    bytes_per_pixel = 12 if facts.format is Format.JPEG else 8
    return facts.pixels * bytes_per_pixel
