"""Renders one body into another: the imaging pipeline, which reads from top to bottom."""

from __future__ import annotations

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.imaging.develop import develop
from darkroom.imaging.facts import Facts
from darkroom.imaging.finishing import Rendition, finish
from darkroom.imaging.operation import Operation
from darkroom.imaging.preparation import prepare
from darkroom.imaging.probe import probe
from darkroom.imaging.request import only_reencodes, output_frames, plan_turned, trims
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.trim import trimmed_area
from darkroom.imaging.turning import turned


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
    frames = output_frames(facts, parameters)
    area = trimmed_area(body, facts, frames=frames) if trims(parameters) else None
    upright = turned(facts if area is None else area.facts, parameters)
    prepared = prepare(facts, upright, parameters, plan_turned(upright, parameters, limits))
    is_reencoded = operation is None and area is None and only_reencodes(facts, parameters, prepared.plan)

    sharpens = parameters.sharpen is not None
    developed = develop(body, upright, prepared.plan, shrink=shrink, frames=frames, area=area, exact_edges=sharpens)
    return finish(
        developed,
        prepared,
        limits,
        original=body if is_reencoded else None,
        operation=operation,
        overlay=overlay,
    )
