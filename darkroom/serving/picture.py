"""The picture that a function receives: its bytes, the facts from its header, and how to make another one of it."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.imaging import Facts, Operation, Rendition, render


@dataclass(frozen=True, kw_only=True)
class Picture:
    body: bytes
    facts: Facts
    limits: Limits
    overlay: bytes | None = None
    """The picture that the parameter `overlay` names."""

    def render(self, parameters: OutputParameters) -> Rendition:
        """Render the picture as the parameters say: what resize and crop do. Raises PictureError."""
        return render(self.body, parameters, self.limits, facts=self.facts, overlay=self.overlay)

    def apply(self, operation: Operation, parameters: OutputParameters) -> Rendition:
        """Render the picture with the function's own operation applied to each frame.

            picture.apply(lambda frame: frame.colourspace("b-w"), job.parameters)

        Everything else is as in `render`: limits, errors, the size where the model inherits from resize's or crop's
        (else the picture keeps its own), sharpening, background, format and metadata. Raises PictureError, and what
        the operation raises.
        """
        return render(self.body, parameters, self.limits, operation=operation, facts=self.facts, overlay=self.overlay)
