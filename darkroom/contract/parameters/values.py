"""Value types shared by the parameters of every job type."""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from darkroom.contract.limits import MAX_OUTPUT_SIDE_PX
from darkroom.events import strict_json

COLOUR_PATTERN = "^(transparent|#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}))$"
_COLOUR = re.compile(COLOUR_PATTERN)


class FrozenModel(BaseModel):
    """An immutable model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Format(StrEnum):
    KEEP = "keep"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    HEIC = "heic"
    """Read only, and only where the operator chose to."""


WRITTEN_FORMATS = tuple(format for format in Format if format is not Format.HEIC)


def _is_written(value: Any) -> Any:
    if value not in WRITTEN_FORMATS:
        raise ValueError(f"must be one of {', '.join(WRITTEN_FORMATS)}")
    return value


WrittenFormat = Annotated[
    Format, BeforeValidator(_is_written), WithJsonSchema({"type": "string", "enum": list(map(str, WRITTEN_FORMATS))})
]
"""A format that a result may have, or `keep`."""


class Metadata(StrEnum):
    STRIP = "strip"
    COPYRIGHT = "copyright"
    ALL = "all"


class Animation(StrEnum):
    FIRST = "first"
    ALL = "all"


class Rotation(IntEnum):
    """Degrees clockwise."""

    NONE = 0
    QUARTER = 90
    HALF = 180
    THREE_QUARTERS = 270


class Flip(StrEnum):
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


class Placeholder(StrEnum):
    THUMBHASH = "thumbhash"
    BLURHASH = "blurhash"
    COLOUR = "colour"


class Colour(FrozenModel):
    """sRGB and alpha, 0 to 255 each."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def parse(cls, text: str) -> Colour:
        """Parse `#rgb`, `#rrggbb`, `#rrggbbaa` or `transparent`. Raises ValueError for anything else."""
        if text == "transparent":
            return cls(red=0, green=0, blue=0, alpha=0)
        if not _COLOUR.fullmatch(text):
            raise ValueError("must be #rgb, #rrggbb, #rrggbbaa or transparent")
        digits = text[1:] if len(text) > 4 else "".join(digit * 2 for digit in text[1:])
        return cls(**dict(zip(("red", "green", "blue", "alpha"), bytes.fromhex(digits), strict=False)))


OutputSide = Annotated[int, Field(ge=1, le=MAX_OUTPUT_SIDE_PX)]
"""In pixels."""

STORAGE_KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
"""Plain path segments: no empty or dotted ones, so a key can neither leave the bucket nor surprise a server that
normalises paths.
"""

StorageKey = Annotated[str, Field(max_length=512, pattern=STORAGE_KEY_PATTERN)]


def json_object_of(value: Any) -> Any:
    """Parse a JSON object from its text, the form in which form fields carry it; anything else stays as it is."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return strict_json.load(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return value
    return value
