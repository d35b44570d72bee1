"""Which part of a picture is kept: by name, by a point, or by its content."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from darkroom.contract.parameters.values import FrozenModel, json_object_of


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

    x: Annotated[float, Field(ge=0, le=1, description="From 0, the left edge, to 1, the right edge.")]
    y: Annotated[float, Field(ge=0, le=1, description="From 0, the top edge, to 1, the bottom edge.")]


Gravity: TypeAlias = Compass | Saliency | FocalPoint


GravityField = Annotated[Gravity, BeforeValidator(json_object_of)]
"""A gravity as the type of a model's field; accepts a form's text too."""
