"""What a request comes to, from the header and the parameters alone: the output's format, frames and size, and
whether it may be."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import ImageTooManyPixelsError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Animation, Format
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.plan import Plan
from darkroom.imaging.planning import plan
from darkroom.imaging.probe import Facts


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """What a result will be called, known before it exists."""

    format: Format
    extension: str
    """Without the dot."""
    content_type: str


def output_format(facts: Facts, parameters: OutputParameters) -> OutputFormat:
    format = facts.format if parameters.format is Format.KEEP else parameters.format
    traits = TRAITS[format]
    return OutputFormat(format=format, extension=traits.extension, content_type=traits.content_type)


def output_frames(facts: Facts, parameters: OutputParameters) -> int:
    """All of them only where that is asked for and the output can hold them."""
    if parameters.animation is Animation.ALL and TRAITS[output_format(facts, parameters).format].holds_animation:
        return facts.frames
    return 1


def checked_plan(facts: Facts, parameters: OutputParameters, limits: Limits) -> Plan:
    """The plan of a request that the header shows to be possible. Raises CropOutOfBoundsError or
    ImageTooManyPixelsError."""
    drawn = plan(facts.size, parameters)
    check_output(drawn.output, output_frames(facts, parameters), limits)
    return drawn


def check_output(output: Size, frames: int, limits: Limits) -> None:
    """Raises ImageTooManyPixelsError."""
    if max(output.width, output.height) > limits.max_output_side_px:
        raise ImageTooManyPixelsError(
            f"the output would be {output} px, the limit is {limits.max_output_side_px} px a side"
        )
    if output.pixels * frames > limits.max_output_pixels:
        raise ImageTooManyPixelsError(
            f"the output would have {frames} frames of {output} px, {output.pixels * frames} pixels in all, "
            f"the limit is {limits.max_output_pixels}"
        )
