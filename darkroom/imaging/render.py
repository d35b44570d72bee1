"""Renders one body into another: the imaging pipeline, which reads from top to bottom.

The colours are converted to sRGB before the background is applied, because the contract gives the background in sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame, timing_of, with_timing
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, pad
from darkroom.imaging.decode import Shrink
from darkroom.imaging.develop import develop
from darkroom.imaging.encode import encode
from darkroom.imaging.facts import Facts
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.operation import Operation, apply
from darkroom.imaging.plan import Plan
from darkroom.imaging.probe import probe
from darkroom.imaging.request import check_output, checked_plan, output_format, output_frames
from darkroom.imaging.vips import Image


@dataclass(frozen=True, kw_only=True)
class Rendition:
    body: bytes
    format: Format
    content_type: str
    extension: str
    width: int
    height: int
    """Height of one frame."""
    frames: int


def render(
    body: bytes,
    parameters: OutputParameters,
    limits: Limits,
    *,
    operation: Operation | None = None,
    shrink: Shrink = Shrink.FAST,
    facts: Facts | None = None,
) -> Rendition:
    """Render a picture. Equal input and parameters give equal bytes.

    `operation` is applied to what the parameters' geometry makes of the picture. Its result must respect the limits of
    the output; its own exceptions propagate, and a libvips error in it is an InternalError. `facts` are what `probe`
    returned for this body under these limits, where the caller has them already.

    Raises what `probe` and `checked_plan` raise, and what only the pixels show: ImageCorruptError, ImageTruncatedError.
    """
    facts = probe(body, limits, all_frames=False) if facts is None else facts
    plan = checked_plan(facts, parameters, limits)
    output = output_format(facts, parameters)
    frames = output_frames(facts, parameters)

    developed = develop(body, facts, plan, shrink=shrink, frames=frames)
    with vips.internal_errors():
        timing = timing_of(developed)
        if operation is not None:
            developed = apply(operation, developed, frames)
            plan = plan.with_output_of(Size(width=developed.width, height=developed.height // frames))
            check_output(plan.output, frames, limits)
        finished = _finished(developed, frames, plan, parameters, output.format)
        encoded = encode(with_timing(finished, frames, timing) if frames > 1 else finished, output.format, parameters)

    return Rendition(
        body=encoded,
        format=output.format,
        content_type=output.content_type,
        extension=output.extension,
        width=plan.output.width,
        height=plan.output.height,
        frames=frames,
    )


def _finished(strip: Image, frames: int, plan: Plan, parameters: OutputParameters, format: Format) -> Image:
    """Sharpen, and flatten or pad."""
    holds_alpha = TRAITS[format].holds_alpha
    background = parameters.background_colour or (TRANSPARENT if holds_alpha else WHITE)
    sharpen = parameters.sharpen
    if sharpen is not None:
        strip = each_frame(strip, frames, lambda frame: frame.sharpen(sigma=sharpen))
    if plan.is_padded:
        strip = each_frame(strip, frames, lambda frame: pad(frame, plan.canvas, plan.output, background))
    if not holds_alpha:
        strip = flatten(strip, background)
    return strip
