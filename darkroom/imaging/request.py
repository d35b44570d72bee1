"""Resolves a request from the header and the parameters alone: the output's format, frames and size, and whether it is
allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import ImageTooManyPixelsError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Animation, Format
from darkroom.imaging.containers.walker import InputChecks
from darkroom.imaging.facts import Facts
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.plan import Plan
from darkroom.imaging.planning import plan_job


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """The format of a result, known before it exists."""

    format: Format
    extension: str
    """File name extension without the dot."""
    content_type: str


def output_format(facts: Facts, parameters: OutputParameters) -> OutputFormat:
    format = facts.format if parameters.format is Format.KEEP else parameters.format
    traits = TRAITS[format]
    return OutputFormat(format=format, extension=traits.extension, content_type=traits.content_type)


def output_frames(facts: Facts, parameters: OutputParameters) -> int:
    """Return how many frames the output has: all of them only if requested and if the output format can hold them."""
    if parameters.animation is Animation.ALL and TRAITS[output_format(facts, parameters).format].holds_animation:
        return facts.frames
    return 1


def checked_plan(facts: Facts, parameters: OutputParameters, limits: Limits) -> Plan:
    """Plan a request and check that it is possible.

    Raises CropOutOfBoundsError, ImageTooManyPixelsError, or, for an animation of which all frames are asked for,
    ImageTooManyFramesError.
    """
    frames = output_frames(facts, parameters)
    if frames > 1:
        InputChecks(limits=limits, all_frames=True).frames(facts.size, frames)
    plan = plan_job(facts.size, parameters)
    check_output(plan.output, frames, limits)
    return plan


def check_output(output: Size, frames: int, limits: Limits) -> None:
    """Check the output against the limits. Raises ImageTooManyPixelsError."""
    if max(output.width, output.height) > limits.max_output_side_px:
        raise ImageTooManyPixelsError(
            f"the output would be {output} px, the limit is {limits.max_output_side_px} px a side"
        )
    if output.pixels * frames > limits.max_output_pixels:
        raise ImageTooManyPixelsError(
            f"the output would have {frames} frames of {output} px, {output.pixels * frames} pixels in all, "
            f"the limit is {limits.max_output_pixels}"
        )
