"""Turns developed frames into a rendition: every step from the function's own operation to the encoder.

The colours are in sRGB before the background is applied, because the contract gives the background in sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame, timing_of, with_timing
from darkroom.imaging.blur import blurred
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, over_white, pad
from darkroom.imaging.encode import encode
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.operation import Operation, apply
from darkroom.imaging.overlay import overlaid
from darkroom.imaging.placeholder import placeholder_of
from darkroom.imaging.plan import Plan
from darkroom.imaging.preparation import Preparation
from darkroom.imaging.request import check_output
from darkroom.imaging.sharpening import sharpen
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


def finish(
    developed: Image,
    prepared: Preparation,
    limits: Limits,
    *,
    original: bytes | None,
    operation: Operation | None = None,
    overlay: bytes | None = None,
) -> Rendition:
    """Return the rendition of what `develop` returned.

    `original` is the picture's body where nothing but a re-encode was asked for. Raises ResultTooLargeError, what
    `overlaid` raises of the overlay, and what the operation raises.
    """
    parameters, frames = prepared.parameters, prepared.frames
    with vips.internal_errors():
        timing = timing_of(developed) if frames > 1 else None
        if operation is not None:
            developed = apply(operation, developed, frames)
            prepared = _resized(prepared, Size(width=developed.width, height=developed.height // frames), limits)
        developed = _blurred_and_sharpened(developed, frames, parameters)
    if parameters.overlay is not None:
        developed = overlaid(developed, frames, _given(overlay), parameters.overlay, limits)
    plan = prepared.plan
    with vips.internal_errors():
        # In memory, because it is read several times: by the placeholder and by each try of the encoder.
        finished = _laid_out(developed, frames, plan, parameters, prepared.output.format).copy_memory()
        placeholder = _placeholder(finished, plan.output, parameters)
        strip = finished if timing is None else with_timing(finished, frames, timing)
        encoded = encode(strip, prepared.encoding, plan.output, original=original)
    return Rendition(
        body=encoded,
        format=prepared.output.format,
        content_type=prepared.output.content_type,
        extension=prepared.output.extension,
        width=plan.output.width,
        height=plan.output.height,
        frames=frames,
        placeholder=placeholder,
    )


def _resized(prepared: Preparation, size: Size, limits: Limits) -> Preparation:
    """Return the preparation after an operation has changed the size. Raises ImageTooManyPixelsError."""
    plan = prepared.plan.with_output_of(size)
    check_output(plan.output, prepared.frames, limits)
    return replace(prepared, plan=plan)


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
