"""What the API says about a stored picture without rendering it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from darkroom.contract.parameters.values import Format


class PictureFacts(BaseModel):
    """The answer of `GET /api/v1/facts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_key: Annotated[str, Field(description="Where the picture is stored.")]
    format: Annotated[Format, Field(description="The picture's format, judged by its bytes.")]
    content_type: Annotated[str, Field(description="The format's media type.")]
    width: Annotated[int, Field(description="Width in pixels of the upright picture.")]
    height: Annotated[int, Field(description="Height in pixels of the upright picture, of one frame.")]
    frames: Annotated[int, Field(description="Number of frames; more than 1 for an animation.")]
    has_alpha: Annotated[bool, Field(description="Whether the picture has transparency.")]
    has_profile: Annotated[bool, Field(description="Whether the picture has an ICC profile.")]
    orientation: Annotated[int, Field(ge=1, le=8, description="EXIF orientation in which the picture is stored.")]
    bits: Annotated[int, Field(description="Bits per sample: 8 or more.")]
    lossless: Annotated[bool, Field(description="Whether the format's lossless variant was used.")]
    palette_colours: Annotated[int, Field(description="Number of colours in the palette; 0 where there is none.")]
    bytes: Annotated[int, Field(description="Size of the file.")]
