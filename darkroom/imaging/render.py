"""From a body to a body: the pipeline, which reads from the top to the bottom.

The contract's order of work is kept in what it means: the colours are brought to sRGB before the background is laid
under them, because the background is given in sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters import Fit, Format, Parameters, ResizeParameters
from darkroom.imaging import vips
from darkroom.imaging.animation import joined, timing_of
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, pad
from darkroom.imaging.decode import Shrink
from darkroom.imaging.develop import develop
from darkroom.imaging.encode import encode
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Plan, plan
from darkroom.imaging.probe import probe
from darkroom.imaging.request import check_request, output_format, output_frames
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


def render(body: bytes, parameters: Parameters, limits: Limits, *, shrink: Shrink = Shrink.FAST) -> Rendition:
    """Equal input and parameters give equal bytes. Raises what `probe` and `check_request` raise, and what only the
    pixels show: ImageCorruptError, ImageTruncatedError."""
    facts = probe(body, limits)
    check_request(facts, parameters, limits)
    drawn = plan(facts.size, parameters)
    output = output_format(facts, parameters)
    frame_count = output_frames(facts, parameters)

    frames = develop(body, facts, drawn, shrink=shrink, frames=frame_count)
    with vips.faults_of_ours():
        finished = [_finished(frame, drawn, parameters, output.format) for frame in frames]
        result = joined(finished, timing_of(frames[0])) if frame_count > 1 else finished[0]
        encoded = encode(result, output.format, parameters)

    return Rendition(
        body=encoded,
        format=output.format,
        content_type=output.content_type,
        extension=output.extension,
        width=drawn.output.width,
        height=drawn.output.height,
        frames=frame_count,
    )


def _finished(frame: Image, drawn: Plan, parameters: Parameters, format: Format) -> Image:
    """Sharpened, and flattened or padded."""
    if parameters.sharpen is not None:
        frame = frame.sharpen(sigma=parameters.sharpen)
    holds_alpha = TRAITS[format].holds_alpha
    background = parameters.background_colour or (TRANSPARENT if holds_alpha else WHITE)
    if isinstance(parameters, ResizeParameters) and parameters.fit is Fit.CONTAIN:
        frame = pad(frame, drawn.canvas, drawn.output, background)
    return frame if holds_alpha else flatten(frame, background)
