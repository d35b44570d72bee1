"""From a body to a body: the pipeline, which reads from the top to the bottom.

The contract's order of work is kept in what it means: the colours are brought to sRGB before the background is laid
under them, because the background is given in sRGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters import Fit, Format, Parameters, ResizeParameters
from darkroom.imaging import vips
from darkroom.imaging.animation import frames_of, joined, timing_of
from darkroom.imaging.colour import TRANSPARENT, WHITE, flatten, pad, to_srgb
from darkroom.imaging.decode import Shrink, open_picture
from darkroom.imaging.encode import encode
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Plan, cut, from_proxy, on_proxy, plan, stored_cut
from darkroom.imaging.probe import Facts, probe
from darkroom.imaging.request import check_request, output_format, output_frames
from darkroom.imaging.resample import extract, resample
from darkroom.imaging.saliency import most_salient
from darkroom.imaging.vips import Image

# Where the salient part is looked for when the picture itself is not scaled down.
_PROXY_SIDE_PX = 512


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

    with vips.faults_of_the_picture(facts.format, body):
        drawn = _settled_on_proxy(body, facts, drawn)
        strip = open_picture(body, facts, scaled=drawn.scaled, shrink=shrink, frames=frame_count)
        frames = list(_developed_frames(strip, facts, drawn, frame_count))
    with vips.faults_of_ours():
        finished = [_finished(frame, drawn, parameters, output.format) for frame in frames]
        result = joined(finished, timing_of(strip)) if frame_count > 1 else finished[0]
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


def _settled_on_proxy(body: bytes, facts: Facts, drawn: Plan) -> Plan:
    """Where a salient part is asked for and the picture is not scaled down, look for it on a small copy: the picture
    itself would have to be held in memory whole."""
    if drawn.saliency is None or drawn.shrinks:
        return drawn
    proxy = on_proxy(drawn, _PROXY_SIDE_PX)
    small = open_picture(body, facts, scaled=proxy.scaled, shrink=Shrink.FAST, frames=1)
    window = most_salient(_developed(small, facts, proxy.showing_all()), proxy.window.size, drawn.saliency)
    return from_proxy(drawn, proxy, window)


def _developed_frames(strip: Image, facts: Facts, drawn: Plan, count: int) -> Iterator[Image]:
    """Each frame in memory: whatever was wrong with the picture has come out by then.

    A salient part is looked for on the first frame and kept for the others: a window that moves would shake.
    """
    for frame in frames_of(strip, count):
        if drawn.saliency is None:
            yield _developed(frame, facts, drawn)
            continue
        whole = _developed(frame, facts, drawn.showing_all())
        drawn = drawn.settled(most_salient(whole, drawn.window.size, drawn.saliency))
        yield extract(whole, drawn.window)


def _developed(frame: Image, facts: Facts, drawn: Plan) -> Image:
    """Cropped, resized, in sRGB, upright, in memory.

    Cropped and resized as it is stored and turned upright only then: a picture that is decoded from the top to the
    bottom can be turned only in memory, and so the result is, not the picture.
    """
    work = stored_cut(cut(drawn), drawn.source, facts.orientation)
    return vips.upright(to_srgb(resample(frame, work)).copy_memory(), facts.orientation)


def _finished(frame: Image, drawn: Plan, parameters: Parameters, format: Format) -> Image:
    """Sharpened, and flattened or padded."""
    if parameters.sharpen is not None:
        frame = frame.sharpen(sigma=parameters.sharpen)
    holds_alpha = TRAITS[format].holds_alpha
    background = parameters.background_colour or (TRANSPARENT if holds_alpha else WHITE)
    if isinstance(parameters, ResizeParameters) and parameters.fit is Fit.CONTAIN:
        frame = pad(frame, drawn.canvas, drawn.output, background)
    return frame if holds_alpha else flatten(frame, background)
