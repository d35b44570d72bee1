"""The parameters of renditions: several pictures of one original, each with a name, a type and parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import FrozenModel

NAME_PATTERN = "^[a-z0-9_-]{1,40}$"
MAX_RENDITIONS = 32

RENDITION_MODELS: Mapping[str, type[OutputParameters]] = {"resize": ResizeParameters, "crop": CropParameters}
"""The types of renditions, and of presets: the models of their parameters."""

RenditionName = Annotated[str, Field(pattern=NAME_PATTERN)]

_PARAMETERS = "What to do."


class ResizeRendition(FrozenModel):
    type: Annotated[Literal["resize"], Field(description="Another size of the picture.")]
    parameters: Annotated[ResizeParameters, Field(description=_PARAMETERS)]


class CropRendition(FrozenModel):
    type: Annotated[Literal["crop"], Field(description="A part of the picture.")]
    parameters: Annotated[CropParameters, Field(description=_PARAMETERS)]


RequestedRendition: TypeAlias = ResizeRendition | CropRendition


class RenditionsParameters(JobParameters):
    renditions: Annotated[
        dict[RenditionName, Annotated[RequestedRendition, Field(discriminator="type")]],
        Field(
            min_length=1,
            max_length=MAX_RENDITIONS,
            description="What to make, by name: lower-case letters, digits, _ and -; 1 to 32 of them.",
        ),
    ]

    @property
    def overlay_keys(self) -> tuple[str, ...]:
        found = (key for rendition in self.renditions.values() for key in rendition.parameters.overlay_keys)
        return tuple(dict.fromkeys(found))

    def without(self, names: Collection[str]) -> RenditionsParameters:
        """Return the parameters of what is left to do; not validated, since it may be nothing."""
        left = {name: rendition for name, rendition in self.renditions.items() if name not in names}
        return self.model_copy(update={"renditions": left})
