"""The parameters that every job type shares: how the result looks and is encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from darkroom.contract.limits import MEBIBYTE
from darkroom.contract.parameters.job import JobParameters, JsonRules
from darkroom.contract.parameters.overlay import OverlayField
from darkroom.contract.parameters.values import (
    COLOUR_PATTERN,
    Animation,
    Colour,
    Flip,
    Format,
    Metadata,
    Placeholder,
    Rotation,
    WrittenFormat,
)


def _off_is_none(value: Any) -> Any:
    return None if value == "off" else value


def _off_is_allowed(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [*schema["anyOf"], {"const": "off"}]


_LOSSLESS_FORMATS = (Format.PNG, Format.WEBP, Format.AVIF)
_PALETTE_FORMATS = (Format.PNG, Format.GIF)
_QUALITY_FORMATS = (Format.JPEG, Format.WEBP, Format.AVIF)

_NOT_TRUE: JsonRules = {"enum": [False, None]}
_NOT_FALSE: JsonRules = {"enum": [True, None]}
_ABSENT: JsonRules = {"type": "null"}


def _either(*cases: JsonRules) -> JsonRules:
    """Require the fields to be as one of the cases says; a field that is absent is."""
    return {"anyOf": [{"properties": case} for case in cases]}


def _one_of(formats: Sequence[Format]) -> JsonRules:
    return {"enum": [format.value for format in (Format.KEEP, *formats)]}


# As few cases as say it: generators of requests multiply the cases of all rules, and give up beyond a size.
_ENCODING_RULES: Sequence[JsonRules] = (
    _either({"lossless": _NOT_TRUE}, {"format": _one_of(_LOSSLESS_FORMATS), "quality": _ABSENT, "max_bytes": _ABSENT}),
    _either(
        {"palette": _NOT_TRUE, "colours": _ABSENT},
        {"palette": _NOT_FALSE, "format": _one_of(_PALETTE_FORMATS)},
    ),
    _either({"max_bytes": _ABSENT}, {"format": _one_of(_QUALITY_FORMATS)}),
)


Background = Annotated[str, WithJsonSchema({"type": "string", "pattern": COLOUR_PATTERN})]
Sharpen = Annotated[float, Field(ge=0.3, le=10)]
Blur = Annotated[float, Field(ge=0.3, le=100)]

MAX_RESULT_BYTES = 64 * MEBIBYTE

_BLUR = "Sigma of a Gaussian blur in output pixels, after resizing; off by default."
_SHARPEN = "Sigma of the sharpening's Gaussian in output pixels; off by default."
_OVERLAY = "A watermark: a stored picture of the same API key that is laid over the result."
_BACKGROUND = (
    "The colour behind transparent parts and beside a contained picture, as #rgb, #rrggbb, #rrggbbaa or transparent. "
    "Default: transparent where the format has alpha, else white."
)
_QUALITY = "From 1, small, to 100, good (jpeg, webp, avif). Default: jpeg 80, webp 79, avif 60."
_LOSSLESS = (
    "Whether every pixel is kept exactly (webp, avif; png always is). Default: as the original with format keep."
)
_PALETTE = (
    "Whether the colours are reduced to a palette (png; gif always is). Default: as the original with format keep."
)
_COLOURS = (
    "The most colours of the palette (png, gif); a power of two up to it is used, in a png with alpha 2, 4, 16 or 256. "
    "Default: 256."
)
_MAX_BYTES = "The most bytes that the result may have (jpeg, webp, avif); the quality is lowered until it fits."
_EFFORT = "CPU time spent on a smaller file, from 0 to 9 (webp to 6). Default: webp 2, avif 1, png 3, gif 4."
_METADATA = (
    "What is kept of EXIF, XMP and IPTC: strip keeps nothing, copyright the author and the rights, all everything that "
    "still holds for the result."
)
_PLACEHOLDER = "A text in the result from which a page can draw the picture roughly before it has loaded."


class OutputParameters(JobParameters):
    """The fields that every job type with one result has; the model of a job type adds its own."""

    encoding_rules: ClassVar[Sequence[JsonRules]] = _ENCODING_RULES
    """The rules of `_encoding_is_possible`, for JSON and forms alike."""

    rotate: Annotated[
        Rotation, Field(description="Degrees to turn the upright picture clockwise, before cropping and resizing.")
    ] = Rotation.NONE
    flip: Annotated[
        Flip | None, Field(description="Mirror the picture left to right or top to bottom, after rotate. Default: not.")
    ] = None
    blur: Annotated[
        Blur | None,
        BeforeValidator(_off_is_none),
        Field(json_schema_extra=_off_is_allowed, description=_BLUR),
    ] = None
    sharpen: Annotated[
        Sharpen | None,
        BeforeValidator(_off_is_none),
        Field(json_schema_extra=_off_is_allowed, description=_SHARPEN),
    ] = None
    overlay: Annotated[OverlayField | None, Field(description=_OVERLAY)] = None
    background: Annotated[Background | None, Field(description=_BACKGROUND)] = None
    format: Annotated[
        WrittenFormat, Field(description="The result's format; keep is the original's, of heic jpeg.")
    ] = Format.KEEP
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(None, description=_QUALITY)
    lossless: bool | None = Field(None, description=_LOSSLESS)
    palette: bool | None = Field(None, description=_PALETTE)
    colours: Annotated[int, Field(ge=2, le=256)] | None = Field(None, description=_COLOURS)
    max_bytes: Annotated[int, Field(ge=100, le=MAX_RESULT_BYTES)] | None = Field(None, description=_MAX_BYTES)
    effort: Annotated[int, Field(ge=0, le=9)] | None = Field(None, description=_EFFORT)
    progressive: Annotated[
        bool, Field(description="Whether the picture appears gradually while it loads (jpeg, png, gif).")
    ] = False
    metadata: Annotated[Metadata, Field(description=_METADATA)] = Metadata.STRIP
    animation: Annotated[
        Animation, Field(description="The first frame of an animation, or all; each is treated by itself.")
    ] = Animation.FIRST
    placeholder: Annotated[Placeholder | None, Field(description=_PLACEHOLDER)] = None

    @field_validator("background")
    @classmethod
    def _background_is_a_colour(cls, value: str | None) -> str | None:
        if value is not None:
            Colour.parse(value)
        return value

    @model_validator(mode="after")
    def _encoding_is_possible(self) -> Self:
        """Check what does not depend on the original's format; the rest is checked when its header is known."""
        mistake = next(encoding_mistakes(self, self.format), None) if self.format is not Format.KEEP else None
        if mistake is not None:
            raise ValueError(mistake)
        if self.lossless and self.quality is not None:
            raise ValueError("use either lossless or quality")
        if self.lossless and self.max_bytes is not None:
            raise ValueError("use either lossless or max_bytes, which lowers the quality")
        if self.colours is not None and self.palette is False:
            raise ValueError("colours is the size of a palette, and palette is false")
        return self

    @property
    def overlay_keys(self) -> tuple[str, ...]:
        return () if self.overlay is None else (self.overlay.storage_key,)

    @property
    def background_colour(self) -> Colour | None:
        return None if self.background is None else Colour.parse(self.background)


def encoding_mistakes(parameters: OutputParameters, format: Format) -> Iterator[str]:
    """Yield what the parameters ask of the result's format that it does not have."""
    asked = (
        (parameters.lossless, "lossless", _LOSSLESS_FORMATS),
        (parameters.palette, "palette", _PALETTE_FORMATS),
        (parameters.colours, "colours", _PALETTE_FORMATS),
        (parameters.max_bytes, "max_bytes", _QUALITY_FORMATS),
    )
    for value, name, formats in asked:
        if value and format not in formats:
            yield f"{name} is for {', '.join(formats)}; the result's format is {format}"
