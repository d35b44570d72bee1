"""The parameters of crop: a part of the picture, at its own size or scaled down."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from darkroom.contract.parameters.gravity import Compass, GravityField
from darkroom.contract.parameters.job import JsonRules
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import OutputSide

ASPECT_PATTERN = "^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$"
_ASPECT = re.compile(ASPECT_PATTERN)

Offset = Annotated[int, Field(ge=0, le=1_000_000)]
"""In pixels. The bound is far beyond any real picture."""

Aspect = Annotated[str, WithJsonSchema({"type": "string", "pattern": ASPECT_PATTERN})]


class Bounds(StrEnum):
    ERROR = "error"
    CLAMP = "clamp"


_INTEGER = {"type": "integer"}
_NULL = {"type": "null"}


def _lacks(*names: str) -> dict[str, Any]:
    return {"properties": dict.fromkeys(names, _NULL)}


# The rules of `_area_is_defined` as JSON Schema; in a form, an absent field stands for null.
_AREAS: list[dict[str, Any]] = [
    {
        "required": ["width", "height"],
        "properties": {"width": _INTEGER, "height": _INTEGER},
        "allOf": [_lacks("aspect")],
    },
    {
        "required": ["aspect"],
        "properties": {"aspect": {"type": "string"}},
        "anyOf": [_lacks("width"), _lacks("height")],
    },
]
_PLACES: list[dict[str, Any]] = [
    {"required": ["x", "y"], "properties": {"x": _INTEGER, "y": _INTEGER, "gravity": False}},
    _lacks("x", "y"),
]
_TEXT_AREAS: list[dict[str, Any]] = [
    {"required": ["width", "height"], "properties": {"aspect": False}},
    {"required": ["aspect"], "properties": {"width": False}},
    {"required": ["aspect"], "properties": {"height": False}},
]
_TEXT_PLACES: list[dict[str, Any]] = [
    {"required": ["x", "y"], "properties": {"gravity": False}},
    {"properties": {"x": False, "y": False}},
]


class CropParameters(OutputParameters):
    json_rules: ClassVar[JsonRules] = {"allOf": [{"anyOf": _AREAS}, {"anyOf": _PLACES}]}
    text_rules: ClassVar[JsonRules] = {"allOf": [{"anyOf": _TEXT_AREAS}, {"anyOf": _TEXT_PLACES}]}

    width: OutputSide | None = Field(None, description="Width of the area in pixels; with aspect, of the result.")
    height: OutputSide | None = Field(None, description="Height of the area in pixels; with aspect, of the result.")
    x: Offset | None = Field(None, description="Left edge of the area in pixels of the upright picture; goes with y.")
    y: Offset | None = Field(None, description="Top edge of the area in pixels of the upright picture; goes with x.")
    aspect: Aspect | None = Field(None, description='A ratio like "16:9": the largest such area of the picture.')
    gravity: Annotated[GravityField, Field(description="Where the area lies, unless x and y say so.")] = Compass.CENTRE
    bounds: Annotated[
        Bounds, Field(description="What to do with an area beyond the picture: refuse it, or clamp it to the picture.")
    ] = Bounds.ERROR

    @field_validator("aspect")
    @classmethod
    def _aspect_is_a_ratio(cls, value: str | None) -> str | None:
        if value is not None and not _ASPECT.fullmatch(value):
            raise ValueError('must be two whole numbers from 1 to 99999 like "16:9"')
        return value

    @model_validator(mode="after")
    def _area_is_defined(self) -> CropParameters:
        if self.aspect is None and (self.width is None or self.height is None):
            raise ValueError("width and height are both required unless aspect is given")
        if self.aspect is not None and self.width is not None and self.height is not None:
            raise ValueError("aspect goes with at most one of width and height")
        if (self.x is None) != (self.y is None):
            raise ValueError("x and y go together")
        if self.x is not None and "gravity" in self.model_fields_set:
            raise ValueError("use either x and y, or gravity")
        return self

    @property
    def ratio(self) -> tuple[int, int] | None:
        if self.aspect is None:
            return None
        across, down = self.aspect.split(":")
        return int(across), int(down)
