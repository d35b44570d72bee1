"""Resolves a request from the header and the parameters alone: the output's format, frames and size, and whether it is
allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import ImageTooManyPixelsError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Animation, Format, Rotation
from darkroom.imaging.containers.walker import InputChecks
from darkroom.imaging.encoding import resolve
from darkroom.imaging.facts import Facts
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.plan import Plan, whole
from darkroom.imaging.planning import plan_job
from darkroom.imaging.turning import turned


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """The format of a result, known before it exists."""

    format: Format
    extension: str
    """File name extension without the dot."""
    content_type: str


def output_format(facts: Facts, parameters: OutputParameters) -> OutputFormat:
    format = _kept_format(facts) if parameters.format is Format.KEEP else parameters.format
    traits = TRAITS[format]
    return OutputFormat(format=format, extension=traits.extension, content_type=traits.content_type)


def _kept_format(facts: Facts) -> Format:
    """Return the original's format. HEIC is not written; what has no alpha becomes a JPEG."""
    if facts.format is not Format.HEIC:
        return facts.format
    return Format.WEBP if facts.has_alpha else Format.JPEG


def output_frames(facts: Facts, parameters: OutputParameters) -> int:
    """Return how many frames the output has: all of them only if requested and if the output format can hold them."""
    if parameters.animation is Animation.ALL and TRAITS[output_format(facts, parameters).format].holds_animation:
        return facts.frames
    return 1


def checked_plan(facts: Facts, parameters: OutputParameters, limits: Limits) -> Plan:
    """Plan a request and check that it is possible.

    Where a border is to be trimmed, only the pixels show the picture's size, so the output's is checked when they are
    known. Raises CropOutOfBoundsError, ImageTooManyPixelsError, ParametersInvalidError, or, for an animation of which
    all frames are asked for, ImageTooManyFramesError.
    """
    resolve(facts, output_format(facts, parameters).format, parameters)
    if trims(parameters):
        _check_frames(facts, parameters, limits)
        return plan_job(turned(facts, parameters).size, parameters)
    return plan_turned(turned(facts, parameters), parameters, limits)


def plan_turned(facts: Facts, parameters: OutputParameters, limits: Limits) -> Plan:
    """Plan a request for a picture with `rotate` and `flip` in its facts. Raises as `checked_plan` does."""
    _check_frames(facts, parameters, limits)
    plan = plan_job(facts.size, parameters)
    check_output(plan.output, output_frames(facts, parameters), limits, hint=_hint(parameters))
    return plan


def _check_frames(facts: Facts, parameters: OutputParameters, limits: Limits) -> None:
    frames = output_frames(facts, parameters)
    if frames > 1:
        InputChecks(limits=limits, all_frames=True).frames(facts.size, frames)


def trims(parameters: OutputParameters) -> bool:
    return isinstance(parameters, ResizeParameters) and parameters.trim


def only_reencodes(facts: Facts, parameters: OutputParameters, plan: Plan) -> bool:
    """Return whether the result has the original's format, size and pixels, as far as the request decides."""
    return (
        plan.source == plan.scaled == facts.size
        and plan == whole(plan.source, plan.source)
        and output_format(facts, parameters).format is facts.format
        and output_frames(facts, parameters) == facts.frames
        and parameters.rotate is Rotation.NONE
        and (parameters.flip, parameters.blur, parameters.sharpen, parameters.overlay) == (None, None, None, None)
    )


def _hint(parameters: OutputParameters) -> str:
    if not isinstance(parameters, ResizeParameters) or None not in (parameters.width, parameters.height):
        return ""
    missing = "height" if parameters.height is None else "width"
    return f"; give a {missing} too, and both sides stay within it"


def check_output(output: Size, frames: int, limits: Limits, *, hint: str = "") -> None:
    """Check the output against the limits. The error ends with the hint. Raises ImageTooManyPixelsError."""
    if max(output.width, output.height) > limits.max_output_side_px:
        raise ImageTooManyPixelsError(
            f"the output would be {output} px, the limit is {limits.max_output_side_px} px a side{hint}"
        )
    if output.pixels * frames > limits.max_output_pixels:
        raise ImageTooManyPixelsError(
            f"the output would have {frames} frames of {output} px, {output.pixels * frames} pixels in all, "
            f"the limit is {limits.max_output_pixels}{hint}"
        )
