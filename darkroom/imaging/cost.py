"""Estimates what a job will cost from the header and the parameters, so that a hard picture never delays the easy ones.

The estimates are within about a factor of two. The constants were measured on one core of a 2025 server with libvips
8.18; only their ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from darkroom.contract.limits import MEBIBYTE, MEGAPIXEL
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging.encoding import Encoding, effort_of, resolve
from darkroom.imaging.facts import Facts
from darkroom.imaging.fitting import MAX_ENCODES
from darkroom.imaging.plan import Plan
from darkroom.imaging.planning import plan_job
from darkroom.imaging.request import output_format, output_frames, trims
from darkroom.imaging.turning import turned


class CostClass(StrEnum):
    STANDARD = "standard"
    HEAVY = "heavy"


@dataclass(frozen=True, kw_only=True)
class Cost:
    cpu_ms: int
    memory_bytes: int
    """On top of the idle process."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(cpu_ms=self.cpu_ms + other.cpu_ms, memory_bytes=self.memory_bytes + other.memory_bytes)


_NOTHING = Cost(cpu_ms=0, memory_bytes=0)
STANDARD_CPU_MS = 400
STANDARD_MEMORY_BYTES = 96 * MEBIBYTE

_START_MS = 2
# A JPEG or WebP is mostly shrunk during decoding; what is not shrunk there is paid for in the output.
_DECODE_MS_PER_MEGAPIXEL = {
    Format.JPEG: 3,
    Format.PNG: 11,
    Format.WEBP: 12,
    Format.GIF: 11,
    Format.AVIF: 72,
    Format.HEIC: 90,
}
_PROGRESSIVE_MS_PER_MEGAPIXEL = {Format.JPEG: 9, Format.PNG: 25}
# Each scan of a JPEG is a pass over all coefficients, even if it holds none. The usual ones are in the figure above.
_SCAN_MS_PER_MEGAPIXEL = 0.1
_USUAL_SCANS = 10
# What the decoder holds at once. A baseline JPEG and a plain PNG are decoded row by row.
_DECODE_BYTES_PER_PIXEL = {
    Format.JPEG: 0,
    Format.PNG: 0,
    Format.WEBP: 4,
    Format.GIF: 5,
    Format.AVIF: 16,
    Format.HEIC: 16,
}
# The coefficients of a progressive JPEG, without chroma subsampling, and all pixels of an interlaced PNG.
_PROGRESSIVE_BYTES_PER_PIXEL = {Format.JPEG: 6, Format.PNG: 4}

_SCALE_MS_PER_MEGAPIXEL = 10
_SHARPEN_MS_PER_MEGAPIXEL = 70
_BLUR_MS_PER_MEGAPIXEL = 120
_TRIM_MS_PER_MEGAPIXEL = 60
_OVERLAY_MS_PER_MEGAPIXEL = 60
_LOSSLESS_WEBP_MS_PER_MEGAPIXEL = 1500
_PALETTE_MS_PER_MEGAPIXEL = 500
# From effort 0 to the maximum.
_ENCODE_MS_PER_MEGAPIXEL = {
    Format.JPEG: (10,),
    Format.PNG: (5, 12, 22, 30, 40, 50, 100, 190, 290, 430),
    Format.WEBP: (15, 21, 30, 70, 72, 80, 110),
    Format.AVIF: (60, 85, 190, 280, 1500, 2400, 4600, 6500, 9000, 18000),
    Format.GIF: (250, 250, 250, 250, 300, 430, 590, 680, 720, 790),
}
_ENCODE_BYTES_PER_PIXEL = {Format.JPEG: 10, Format.PNG: 7, Format.WEBP: 10, Format.AVIF: 27, Format.GIF: 27}


def decode_cost(facts: Facts, *, frames: int = 1) -> Cost:
    """Estimate reading that many frames, whatever is made of them."""
    ms: float = _DECODE_MS_PER_MEGAPIXEL[facts.format]
    held = _DECODE_BYTES_PER_PIXEL[facts.format]
    if facts.progressive:
        ms = _PROGRESSIVE_MS_PER_MEGAPIXEL.get(facts.format, ms)
        held = _PROGRESSIVE_BYTES_PER_PIXEL.get(facts.format, held)
    ms += max(0, facts.scans - _USUAL_SCANS) * _SCAN_MS_PER_MEGAPIXEL
    return Cost(
        cpu_ms=_START_MS + round(facts.pixels * frames / MEGAPIXEL * ms),
        # The frames are processed one after the other in the same memory.
        memory_bytes=facts.pixels * held,
    )


def estimate(
    facts: Facts, parameters: OutputParameters, *, plan: Plan | None = None, overlay: Facts | None = None
) -> Cost:
    """Estimate the whole job. Raises CropOutOfBoundsError where the request is impossible.

    `plan` is the job's plan, where the caller has it already; `overlay` are the facts of its overlay.
    """
    decoding = decode_cost(facts, frames=output_frames(facts, parameters))
    return decoding + output_cost(facts, parameters, plan=plan, overlay=overlay)


def output_cost(
    facts: Facts, parameters: OutputParameters, *, plan: Plan | None = None, overlay: Facts | None = None
) -> Cost:
    """Estimate what a job takes besides decoding the picture. Raises as `estimate` does."""
    frames = output_frames(facts, parameters)
    written = (plan or plan_job(turned(facts, parameters).size, parameters)).output.pixels * frames
    format = output_format(facts, parameters).format
    encoding = resolve(facts, format, parameters)
    encoding_cost = Cost(
        cpu_ms=round(written / MEGAPIXEL * _output_ms_per_megapixel(encoding, parameters)),
        memory_bytes=written * _ENCODE_BYTES_PER_PIXEL[format],
    )
    return _extra_cost(facts, parameters, frames, written, overlay) + encoding_cost


def _extra_cost(facts: Facts, parameters: OutputParameters, frames: int, written: int, overlay: Facts | None) -> Cost:
    """Estimate what only some jobs do: trimming, an overlay."""
    cpu_ms, memory_bytes = 0, 0
    if trims(parameters):
        # A second decode of every pixel, the same for the render, and a mask of a byte per pixel.
        pixels = facts.pixels * frames
        cpu_ms += round(pixels / MEGAPIXEL * _TRIM_MS_PER_MEGAPIXEL) + decode_cost(facts, frames=frames).cpu_ms
        memory_bytes += pixels
    if parameters.overlay is not None:
        decoding = _NOTHING if overlay is None else decode_cost(overlay)
        cpu_ms += decoding.cpu_ms + round(written / MEGAPIXEL * _OVERLAY_MS_PER_MEGAPIXEL)
        memory_bytes += decoding.memory_bytes + written * 8
    return Cost(cpu_ms=cpu_ms, memory_bytes=memory_bytes)


def cost_class(facts: Facts, parameters: OutputParameters, *, cost: Cost | None = None) -> CostClass:
    """Classify a job as standard or heavy, by its cost, where the caller has estimated it already.

    A job is heavy if it costs much time or memory, if it is an animation, or if AVIF or HEIC is involved, because
    their codecs cannot be interrupted.
    """
    cost = cost or estimate(facts, parameters)
    heavy = (
        cost.cpu_ms > STANDARD_CPU_MS
        or cost.memory_bytes > STANDARD_MEMORY_BYTES
        or output_frames(facts, parameters) > 1
        or facts.format is Format.HEIC
        or Format.AVIF in (facts.format, output_format(facts, parameters).format)
    )
    return CostClass.HEAVY if heavy else CostClass.STANDARD


def _output_ms_per_megapixel(encoding: Encoding, parameters: OutputParameters) -> int:
    sharpening = 0 if parameters.sharpen is None else _SHARPEN_MS_PER_MEGAPIXEL
    blurring = 0 if parameters.blur is None else _BLUR_MS_PER_MEGAPIXEL
    return _SCALE_MS_PER_MEGAPIXEL + blurring + sharpening + _encode_ms_per_megapixel(encoding, parameters)


def _encode_ms_per_megapixel(encoding: Encoding, parameters: OutputParameters) -> int:
    if encoding.format is Format.WEBP and encoding.lossless:
        return _LOSSLESS_WEBP_MS_PER_MEGAPIXEL
    efforts = _ENCODE_MS_PER_MEGAPIXEL[encoding.format]
    once = efforts[min(effort_of(encoding.format, parameters), len(efforts) - 1)]
    if encoding.format is Format.PNG and encoding.palette:
        once += _PALETTE_MS_PER_MEGAPIXEL
    return once if encoding.max_bytes is None else once * MAX_ENCODES
