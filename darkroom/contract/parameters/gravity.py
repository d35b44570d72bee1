"""Which part of a picture is kept: by name, by a point, or by its content."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from darkroom.contract.parameters.values import FrozenModel
from darkroom.events import strict_json


class Compass(StrEnum):
    """The gravities that need no analysis of the pixels."""

    CENTRE = "centre"
    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


class Saliency(StrEnum):
    """The gravities that analyse the pixels."""

    ATTENTION = "attention"
    ENTROPY = "entropy"


class FocalPoint(FrozenModel):
    """A point of the oriented picture as fractions of its width and height; (0, 0) is the top left corner."""

    x: Annotated[float, Field(ge=0, le=1)]
    y: Annotated[float, Field(ge=0, le=1)]


Gravity: TypeAlias = Compass | Saliency | FocalPoint


def _focal_point_from_text(value: Any) -> Any:
    """Parse a focal point from its JSON text, the form in which form fields carry it."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return strict_json.load(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return value
    return value


GravityField = Annotated[Gravity, BeforeValidator(_focal_point_from_text)]
"""A gravity as the type of a model's field; accepts a form's text too."""
