"""From a body to a body: the pipeline, which reads from the top to the bottom.

The contract's order of work is kept in what it means: the colours are brought to sRGB before the background is laid
under them, because the background is given in sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame, timed, timing_of
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, pad
from darkroom.imaging.decode import Shrink
from darkroom.imaging.develop import develop
from darkroom.imaging.encode import encode
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Size
from darkroom.imaging.operation import Operation, apply
from darkroom.imaging.plan import Plan
from darkroom.imaging.probe import Facts, probe
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
    """Of one frame."""
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
    """Equal input and parameters give equal bytes. Raises what `probe` and `checked_plan` raise, and what only the
    pixels show: ImageCorruptError, ImageTruncatedError.

    `operation` is done on what the parameters' geometry makes of the picture. Its answer is held to the limits of the
    output; what it raises itself passes, and a fault of libvips in it is an InternalError.
    `facts` are those that `probe` gave of this body under these limits, where the caller has asked already.
    """
    facts = probe(body, limits) if facts is None else facts
    drawn = checked_plan(facts, parameters, limits)
    output = output_format(facts, parameters)
    frames = output_frames(facts, parameters)

    developed = develop(body, facts, drawn, shrink=shrink, frames=frames)
    with vips.faults_of_ours():
        timing = timing_of(developed)
        if operation is not None:
            developed = apply(operation, developed, frames)
            drawn = drawn.with_output_of(Size(width=developed.width, height=developed.height // frames))
            check_output(drawn.output, frames, limits)
        finished = _finished(developed, frames, drawn, parameters, output.format)
        encoded = encode(timed(finished, frames, timing) if frames > 1 else finished, output.format, parameters)

    return Rendition(
        body=encoded,
        format=output.format,
        content_type=output.content_type,
        extension=output.extension,
        width=drawn.output.width,
        height=drawn.output.height,
        frames=frames,
    )


def _finished(strip: Image, frames: int, drawn: Plan, parameters: OutputParameters, format: Format) -> Image:
    """Sharpened, and flattened or padded."""
    holds_alpha = TRAITS[format].holds_alpha
    background = parameters.background_colour or (TRANSPARENT if holds_alpha else WHITE)
    sharpen = parameters.sharpen
    if sharpen is not None:
        strip = each_frame(strip, frames, lambda frame: frame.sharpen(sigma=sharpen))
    if drawn.is_padded:
        strip = each_frame(strip, frames, lambda frame: pad(frame, drawn.canvas, drawn.output, background))
    if not holds_alpha:
        strip = flatten(strip, background)
    return strip
