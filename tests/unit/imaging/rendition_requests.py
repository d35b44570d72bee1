"""Requests for renditions in one line each."""

from __future__ import annotations

from typing import Any

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import Rendition, RenditionError, RenditionRequest, probe, render, render_all

LIMITS = Limits()


def resize(name: str, *, stamp: bytes | None = None, **fields: Any) -> RenditionRequest:
    """`stamp` has the bytes of the overlay."""
    parameters = parse_parameters(ResizeParameters, fields)
    return RenditionRequest(name=name, type="resize", parameters=parameters, overlay=stamp)


def crop(name: str, **fields: Any) -> RenditionRequest:
    return RenditionRequest(name=name, type="crop", parameters=parse_parameters(CropParameters, fields))


def five(**fields: Any) -> list[RenditionRequest]:
    """Return what a page usually needs: four widths and a square."""
    widths = [resize(f"w{width}", width=width, **fields) for width in (1600, 800, 400, 200)]
    return [*widths, resize("square", width=300, height=300, fit="cover", **fields)]


def outcomes(body: bytes, *requests: RenditionRequest) -> dict[str, Rendition | RenditionError]:
    return dict(render_all(body, probe(body, LIMITS, all_frames=False), requests, LIMITS))


def rendered(body: bytes, *requests: RenditionRequest) -> dict[str, Rendition]:
    """Return the renditions, of which each must succeed."""
    made = outcomes(body, *requests)
    errors = [one for one in made.values() if not isinstance(one, Rendition)]
    if errors:
        raise ExceptionGroup("not all renditions could be made", errors)
    return {name: one for name, one in made.items() if isinstance(one, Rendition)}


def by_itself(body: bytes, request: RenditionRequest) -> Rendition:
    """Return what a job of its own makes."""
    return render(body, request.parameters, LIMITS, overlay=request.overlay)
