"""The picture that a function receives: its bytes, the facts from its header, and how to make another one of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.imaging import Facts, Operation, Rendition, RenditionRequest, render, render_all

Renditions: TypeAlias = Iterator[tuple[str, Rendition | PictureError | RejectedError]]
"""Renditions by their names as they are made, each once, in any order; an error in the place of one that cannot be."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    body: bytes
    facts: Facts
    limits: Limits
    overlay: bytes | None = None
    """The picture that the parameter `overlay` names."""
    overlays: Mapping[str, bytes] = field(default_factory=dict)
    """The same for a job with several results, by the storage key."""

    def render(self, parameters: OutputParameters) -> Rendition:
        """Render the picture as the parameters say: what resize and crop do. Raises PictureError."""
        return render(self.body, parameters, self.limits, facts=self.facts, overlay=self.overlay)

    def render_each(self, parameters: RenditionsParameters) -> Renditions:
        """Render the renditions from one decode: what renditions does. Raises PictureError for the picture itself; the
        error of one rendition takes its place.
        """
        return render_all(self.body, self.facts, rendition_requests(parameters, self.overlays), self.limits)

    def apply(self, operation: Operation, parameters: OutputParameters) -> Rendition:
        """Render the picture with the function's own operation applied to each frame.

            picture.apply(lambda frame: frame.colourspace("b-w"), job.parameters)

        Everything else is as in `render`: limits, errors, the size where the model inherits from resize's or crop's
        (else the picture keeps its own), sharpening, background, format and metadata. Raises PictureError, and what
        the operation raises.
        """
        return render(self.body, parameters, self.limits, operation=operation, facts=self.facts, overlay=self.overlay)


def rendition_requests(
    parameters: RenditionsParameters, overlays: Mapping[str, bytes] | None = None
) -> list[RenditionRequest]:
    """Return the renditions as the imaging takes them; `overlays` are the overlays' bytes by their storage keys."""
    overlays = overlays or {}
    return [
        RenditionRequest(
            name=name,
            type=rendition.type,
            parameters=rendition.parameters,
            overlay=next((overlays[key] for key in rendition.parameters.overlay_keys if key in overlays), None),
        )
        for name, rendition in parameters.renditions.items()
    ]
