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
from darkroom.imaging.blur import blurred
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, over_white, pad
from darkroom.imaging.develop import develop
from darkroom.imaging.encode import encode
from darkroom.imaging.encoding import resolve
from darkroom.imaging.facts import Facts
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.operation import Operation, apply
from darkroom.imaging.overlay import overlaid
from darkroom.imaging.placeholder import placeholder_of
from darkroom.imaging.plan import Plan
from darkroom.imaging.probe import probe
from darkroom.imaging.request import (
    check_output,
    only_reencodes,
    output_format,
    output_frames,
    plan_turned,
    trims,
)
from darkroom.imaging.sharpening import sharpen
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.trim import trimmed_area
from darkroom.imaging.turning import turned
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
    placeholder: str | None = None
    """What the parameter `placeholder` asked for."""


def render(
    body: bytes,
    parameters: OutputParameters,
    limits: Limits,
    *,
    operation: Operation | None = None,
    shrink: Shrink = Shrink.FAST,
    facts: Facts | None = None,
    overlay: bytes | None = None,
) -> Rendition:
    """Render a picture. Equal input and parameters give equal bytes.

    `operation` is applied to what the parameters' geometry makes of the picture. Its result must respect the limits of
    the output; its own exceptions propagate, and a libvips error in it is an InternalError. `facts` are what `probe`
    returned for this body under these limits, where the caller has them already. `overlay` has the bytes of the picture
    that the parameter of this name refers to.

    Raises what `probe` and `checked_plan` raise, and what only the pixels show: ImageCorruptError, ImageTruncatedError,
    ResultTooLargeError.
    """
    facts = probe(body, limits, all_frames=False) if facts is None else facts
    output = output_format(facts, parameters)
    frames = output_frames(facts, parameters)
    area = trimmed_area(body, facts, frames=frames) if trims(parameters) else None
    upright = turned(facts if area is None else area.facts, parameters)
    plan = plan_turned(upright, parameters, limits)
    encoding = resolve(facts, output.format, parameters)
    is_reencoded = operation is None and area is None and only_reencodes(facts, parameters, plan)

    sharpens = parameters.sharpen is not None
    developed = develop(body, upright, plan, shrink=shrink, frames=frames, area=area, exact_edges=sharpens)
    with vips.internal_errors():
        timing = timing_of(developed) if frames > 1 else None
        if operation is not None:
            developed = apply(operation, developed, frames)
            plan = plan.with_output_of(Size(width=developed.width, height=developed.height // frames))
            check_output(plan.output, frames, limits)
        developed = _blurred_and_sharpened(developed, frames, parameters)
    if parameters.overlay is not None:
        developed = overlaid(developed, frames, _given(overlay), parameters.overlay, limits)
    with vips.internal_errors():
        # In memory, because it is read several times: by the placeholder and by each try of the encoder.
        finished = _laid_out(developed, frames, plan, parameters, output.format).copy_memory()
        placeholder = _placeholder(finished, plan.output, parameters)
        strip = finished if timing is None else with_timing(finished, frames, timing)
        encoded = encode(strip, encoding, plan.output, original=body if is_reencoded else None)

    return Rendition(
        body=encoded,
        format=output.format,
        content_type=output.content_type,
        extension=output.extension,
        width=plan.output.width,
        height=plan.output.height,
        frames=frames,
        placeholder=placeholder,
    )


def _given(overlay: bytes | None) -> bytes:
    if overlay is None:
        raise ValueError("the parameters have an overlay, of which the bytes must be given")
    return overlay


def _blurred_and_sharpened(strip: Image, frames: int, parameters: OutputParameters) -> Image:
    blur, sigma = parameters.blur, parameters.sharpen
    if blur is not None:
        strip = each_frame(strip, frames, lambda frame: vips.without_palette(blurred(frame, blur)))
    if sigma is not None:
        strip = each_frame(strip, frames, lambda frame: sharpen(frame, sigma))
    return strip


def _laid_out(strip: Image, frames: int, plan: Plan, parameters: OutputParameters, format: Format) -> Image:
    """Flatten and pad."""
    holds_alpha = TRAITS[format].holds_alpha
    background = parameters.background_colour or (TRANSPARENT if holds_alpha else WHITE)
    if not holds_alpha:
        # Before the padding, or a translucent background would be laid under the picture and beside it differently.
        background = over_white(background)
        strip = flatten(strip, background)
    if plan.is_padded:
        strip = each_frame(strip, frames, lambda frame: pad(frame, plan.canvas, plan.output, background))
    return strip


def _placeholder(strip: Image, size: Size, parameters: OutputParameters) -> str | None:
    """Return the placeholder of the first frame, if one is asked for."""
    if parameters.placeholder is None:
        return None
    return placeholder_of(strip.extract_area(0, 0, size.width, size.height), parameters.placeholder)
