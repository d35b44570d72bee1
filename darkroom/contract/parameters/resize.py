"""The parameters of resize: another size of the whole picture."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from darkroom.contract.parameters.gravity import Compass, GravityField
from darkroom.contract.parameters.output import JsonRules, OutputParameters
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


def _has(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "integer"}}}


class ResizeParameters(OutputParameters):
    json_rules: ClassVar[JsonRules] = {"anyOf": [_has("width"), _has("height")]}
    text_rules: ClassVar[JsonRules] = json_rules

    width: OutputSide | None = None
    height: OutputSide | None = None
    fit: Fit = Fit.INSIDE
    enlarge: bool = False
    dpr: Annotated[float, Field(ge=1, le=4)] = 1.0
    gravity: GravityField = Compass.CENTRE
    """Which part `cover` keeps."""

    @model_validator(mode="after")
    def _has_a_side(self) -> ResizeParameters:
        if self.width is None and self.height is None:
            raise ValueError("width or height is required")
        return self
