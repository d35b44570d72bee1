"""What may be asked of resize and crop, checked in one pass that reports every mistake.

Parameters arrive as JSON (typed) or as form and query fields (text); `parse_parameters` takes both. Unknown fields are
refused. What depends on the picture (a crop outside of it, say) is not judged here but by `darkroom.imaging`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.limits import MAX_OUTPUT_SIDE_PX


class Fit(StrEnum):
    INSIDE = "inside"
    """As large as fits into the box, the whole picture shown; one side may be smaller than asked."""
    COVER = "cover"
    """Exactly the box, what overhangs is cut off by `gravity`."""
    CONTAIN = "contain"
    """Exactly the box, the whole picture shown, the rest filled with `background`."""
    FILL = "fill"
    """Exactly the box, distorted if need be."""
    OUTSIDE = "outside"
    """As small as covers the box, the whole picture shown; one side may be larger than asked."""


class Compass(StrEnum):
    """The gravities that need no look at the pixels."""

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
    """The gravities that look at the pixels."""

    ATTENTION = "attention"
    ENTROPY = "entropy"


class Format(StrEnum):
    KEEP = "keep"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"


class Metadata(StrEnum):
    STRIP = "strip"
    COPYRIGHT = "copyright"
    ALL = "all"


class Animation(StrEnum):
    FIRST = "first"
    ALL = "all"


class Bounds(StrEnum):
    ERROR = "error"
    CLAMP = "clamp"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FocalPoint(_Frozen):
    """A point of the oriented picture as fractions of its width and height; (0, 0) is its top left corner."""

    x: Annotated[float, Field(ge=0, le=1)]
    y: Annotated[float, Field(ge=0, le=1)]


Gravity: TypeAlias = Compass | Saliency | FocalPoint

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_ASPECT = re.compile(r"([1-9]\d{0,4}):([1-9]\d{0,4})")


class Colour(_Frozen):
    """sRGB and alpha, 0 to 255 each."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def parse(cls, text: str) -> Colour:
        """`#rgb`, `#rrggbb`, `#rrggbbaa` or `transparent`; raises ValueError for anything else."""
        if text == "transparent":
            return cls(red=0, green=0, blue=0, alpha=0)
        if not _COLOUR.fullmatch(text):
            raise ValueError("must be #rgb, #rrggbb, #rrggbbaa or transparent")
        digits = text[1:] if len(text) > 4 else "".join(digit * 2 for digit in text[1:])
        return cls(**dict(zip(("red", "green", "blue", "alpha"), bytes.fromhex(digits), strict=False)))


def _focal_point_from_text(value: Any) -> Any:
    """Form fields carry a focal point as its JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _off_is_none(value: Any) -> Any:
    return None if value == "off" else value


OutputSide = Annotated[int, Field(ge=1, le=MAX_OUTPUT_SIDE_PX)]
Offset = Annotated[int, Field(ge=0, le=1_000_000)]
"""In pixels; far beyond any picture that is taken, and no number that needs more than a few digits."""
Sharpen = Annotated[float, Field(ge=0.3, le=10)]


class OutputParameters(_Frozen):
    """What resize and crop have in common: how the result looks and is encoded."""

    gravity: Annotated[Gravity, BeforeValidator(_focal_point_from_text)] = Compass.CENTRE
    background: str | None = None
    """None: transparent where the format has alpha, else white. See `background_colour`."""
    sharpen: Annotated[Sharpen | None, BeforeValidator(_off_is_none)] = None
    """Sigma of the sharpening's Gaussian in output pixels; None or "off" leaves the picture alone."""
    format: Format = Format.KEEP
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """None: the format's default (jpeg 80, webp 79, avif 60)."""
    effort: Annotated[int, Field(ge=0, le=9)] | None = None
    """Processor time spent on a smaller file, 0 to 9 (webp to 6); None: the format's default (webp 2, avif 1)."""
    progressive: bool = False
    metadata: Metadata = Metadata.STRIP
    animation: Animation = Animation.FIRST

    @field_validator("background")
    @classmethod
    def _background_is_a_colour(cls, value: str | None) -> str | None:
        if value is not None:
            Colour.parse(value)
        return value

    @property
    def background_colour(self) -> Colour | None:
        return None if self.background is None else Colour.parse(self.background)


class ResizeParameters(OutputParameters):
    width: OutputSide | None = None
    height: OutputSide | None = None
    fit: Fit = Fit.INSIDE
    enlarge: bool = False
    dpr: Annotated[float, Field(ge=1, le=4)] = 1.0

    @model_validator(mode="after")
    def _has_a_side(self) -> ResizeParameters:
        if self.width is None and self.height is None:
            raise ValueError("width or height is required")
        return self


class CropParameters(OutputParameters):
    width: OutputSide | None = None
    height: OutputSide | None = None
    x: Offset | None = None
    """Left edge in pixels of the oriented picture."""
    y: Offset | None = None
    """Top edge in pixels of the oriented picture."""
    aspect: str | None = None
    """`"16:9"`: the largest such area. With one of width and height the area is scaled to it."""
    bounds: Bounds = Bounds.ERROR

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


Parameters: TypeAlias = ResizeParameters | CropParameters
ParametersModel: TypeAlias = type[ResizeParameters] | type[CropParameters]

_NUMBER_OR_BOOLEAN = re.compile(r"true|false|-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?")
_MODELS: dict[str, ParametersModel] = {"resize": ResizeParameters, "crop": CropParameters}
_SHOWN_VALUE_CHARACTERS = 80
_MAX_ERRORS = 50
_MESSAGES = {"extra_forbidden": "unknown field", "missing": "required"}


def parse_parameters(
    job_type: Literal["resize", "crop"] | str, fields: Mapping[str, Any], *, text: bool = False
) -> Parameters:
    """The parameters of a job of `job_type`; raises ParametersInvalidError that lists every mistake.

    `text` is for form and query fields, where a number is its digits and a boolean is `true` or `false`; in JSON a
    number in quotes is a mistake.
    """
    model = _MODELS[job_type]
    try:
        typed = (
            {name: _typed(model, name, value) for name, value in fields.items()}
            if text
            else {name: _whole(value) for name, value in fields.items()}
        )
        return model.model_validate_json(json.dumps(typed), strict=True)
    except ValidationError as exc:
        raise ParametersInvalidError(field_errors(exc)) from exc


def _typed(model: ParametersModel, name: str, text: Any) -> Any:
    """A number or a boolean of a form as JSON has it; what is none stays text, and is refused where one is wanted."""
    if name not in _numbers_and_booleans(model) or not isinstance(text, str) or not _NUMBER_OR_BOOLEAN.fullmatch(text):
        return text
    return json.loads(text)


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 400.0 is 400."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _numbers_and_booleans(model: ParametersModel) -> frozenset[str]:
    return frozenset(name for name, field in model.model_fields.items() if _holds_number_or_boolean(field.annotation))


def _holds_number_or_boolean(annotation: Any) -> bool:
    arguments = get_args(annotation)
    return annotation in {int, float, bool} or any(_holds_number_or_boolean(argument) for argument in arguments)


def field_errors(exc: ValidationError) -> list[FieldError]:
    """Pydantic's errors in our words, one for each field, the offending value cut short."""
    return [
        FieldError(
            field=".".join(str(part) for part in error["loc"] if not _is_union_branch(part)) or "parameters",
            message="unknown field"
            if error["type"] == "extra_forbidden"
            else error["msg"].removeprefix("Value error, "),
            value=_shown(error["input"]),
        )
        for error in exc.errors(include_url=False, include_context=False)[:_MAX_ERRORS]
    ]


def _is_union_branch(part: int | str) -> bool:
    """Pydantic puts the name of the union's member it tried into the location; users know no such field."""
    return part in {"Compass", "Saliency", "FocalPoint"} or (isinstance(part, str) and part.endswith("]"))


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_VALUE_CHARACTERS else value[:_SHOWN_VALUE_CHARACTERS] + "…"
    return None
