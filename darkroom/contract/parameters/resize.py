"""The parameters of resize: another size of the whole picture."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from darkroom.contract.parameters.gravity import Compass, GravityField
from darkroom.contract.parameters.job import JsonRules
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import OutputSide


class Fit(StrEnum):
    INSIDE = "inside"
    """As large as fits into the box, the whole picture shown; one side may be smaller than requested."""
    COVER = "cover"
    """Exactly the box; `gravity` chooses what is cut off."""
    CONTAIN = "contain"
    """Exactly the box, the whole picture shown, the rest filled with `background`."""
    FILL = "fill"
    """Exactly the box, distorted if necessary."""
    OUTSIDE = "outside"
    """As small as covers the box, the whole picture shown; one side may be larger than requested."""


_FIT = (
    "How the picture fits the box of width and height: inside it, covering it (cover cuts, outside not), contained "
    "in it with a background, or distorted to fill it."
)


def _has(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "integer"}}}


class ResizeParameters(OutputParameters):
    json_rules: ClassVar[JsonRules] = {"anyOf": [_has("width"), _has("height")]}
    text_rules: ClassVar[JsonRules] = json_rules

    width: OutputSide | None = Field(None, description="Width of the result in pixels.")
    height: OutputSide | None = Field(None, description="Height of the result in pixels.")
    fit: Annotated[Fit, Field(description=_FIT)] = Fit.INSIDE
    enlarge: Annotated[bool, Field(description="Whether a picture may become larger than it is.")] = False
    dpr: Annotated[
        float, Field(ge=1, le=4, description="Pixels of the screen per pixel of the page; multiplies width and height.")
    ] = 1.0
    gravity: Annotated[GravityField, Field(description="Which part fit cover keeps.")] = Compass.CENTRE
    trim: Annotated[
        bool, Field(description="Whether a border of one colour is cut off first, with a tolerance of 10 of 255.")
    ] = False

    @model_validator(mode="after")
    def _has_a_side(self) -> ResizeParameters:
        if self.width is None and self.height is None:
            raise ValueError("width or height is required")
        return self
