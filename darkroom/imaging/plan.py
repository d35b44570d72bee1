"""The plan of a rendering, known from the header alone: which part of the picture, how large, where on the canvas."""

from __future__ import annotations

from dataclasses import dataclass, replace

from darkroom.contract.parameters.gravity import Compass, Gravity, Saliency
from darkroom.imaging.geometry import Rect, Size, at_origin, placed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Scale the whole picture to `scaled`, keep `window` of it, and place that on a canvas of `output`."""

    source: Size
    scaled: Size
    window: Rect
    """In the scaled picture. Only its size matters while `saliency` is set."""
    saliency: Saliency | None = None
    """How to find the window's position; None where it is known."""
    canvas: Rect
    """Where on the output the window lies."""
    output: Size

    @property
    def enlarges(self) -> bool:
        return self.scaled.width > self.source.width or self.scaled.height > self.source.height

    @property
    def shrinks(self) -> bool:
        return self.scaled.width < self.source.width or self.scaled.height < self.source.height

    @property
    def is_padded(self) -> bool:
        return self.output != self.window.size

    def showing_all(self) -> Plan:
        return replace(self, window=at_origin(self.scaled), saliency=None)

    def settled(self, window: Rect) -> Plan:
        return replace(self, window=window, saliency=None)

    def with_output_of(self, size: Size) -> Plan:
        """Return the plan after an operation has changed the window to this size.

        Raises ValueError where the window has a position on a canvas.
        """
        if size == self.window.size:
            return self
        if self.is_padded:
            raise ValueError(f"{self.window.size} px have a place on a canvas of {self.output} px, {size} px have none")
        return replace(self, window=at_origin(size), canvas=at_origin(size), output=size)


def whole(source: Size, scaled: Size) -> Plan:
    return windowed(source, scaled, at_origin(scaled), Compass.CENTRE)


def windowed(source: Size, scaled: Size, window: Rect, gravity: Gravity) -> Plan:
    return Plan(
        source=source,
        scaled=scaled,
        window=window,
        saliency=gravity if isinstance(gravity, Saliency) and window.size != scaled else None,
        canvas=at_origin(window.size),
        output=window.size,
    )


def laid_on(plan: Plan, output: Size) -> Plan:
    return replace(plan, canvas=placed(plan.scaled, output, Compass.CENTRE), output=output)
