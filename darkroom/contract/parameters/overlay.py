"""A watermark: another picture that is laid over the result."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from darkroom.contract.parameters.gravity import Compass, FocalPoint
from darkroom.contract.parameters.values import FrozenModel, StorageKey, json_object_of


class Overlay(FrozenModel):
    """A picture in storage that belongs to the same API key, laid over the result."""

    storage_key: Annotated[StorageKey, Field(description="Where the overlay is stored: an upload of the same API key.")]
    gravity: Annotated[
        Compass | FocalPoint,
        Field(description="Where the overlay lies: a compass point, or a point as fractions of the room around it."),
    ] = Compass.SOUTHEAST
    scale: Annotated[
        float,
        Field(ge=0.01, le=1, description="The overlay's size, as a fraction of the largest that fits into the result."),
    ] = 0.25
    opacity: Annotated[float, Field(ge=0, le=1, description="From 0, invisible, to 1, as it is.")] = 1.0


OverlayField = Annotated[Overlay, BeforeValidator(json_object_of)]
"""An overlay as the type of a model's field; accepts a form's text too."""
