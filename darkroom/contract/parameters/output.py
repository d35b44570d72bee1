"""The parameters that every job type shares: how the result looks and is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from darkroom.contract.parameters.values import COLOUR_PATTERN, Animation, Colour, Format, FrozenModel, Metadata

JsonRules: TypeAlias = Mapping[str, Any]
"""Keywords of JSON Schema."""


def _off_is_none(value: Any) -> Any:
    return None if value == "off" else value


def _off_is_allowed(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [*schema["anyOf"], {"const": "off"}]


Background = Annotated[str, WithJsonSchema({"type": "string", "pattern": COLOUR_PATTERN})]
Sharpen = Annotated[float, Field(ge=0.3, le=10)]


class OutputParameters(FrozenModel):
    """The fields that every job type has; the model of a job type adds its own."""

    json_rules: ClassVar[JsonRules] = {}
    """What the model's validators require of several fields together, for the JSON schema: `{"anyOf": ...}`."""
    text_rules: ClassVar[JsonRules] = {}
    """The same for form fields, which are absent where JSON may have null."""

    background: Background | None = None
    """None: transparent where the format has alpha, else white. See `background_colour`."""
    sharpen: Annotated[Sharpen | None, BeforeValidator(_off_is_none), Field(json_schema_extra=_off_is_allowed)] = None
    """Sigma of the sharpening's Gaussian in output pixels; None or "off" disables it."""
    format: Format = Format.KEEP
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """None: the format's default (jpeg 80, webp 79, avif 60)."""
    effort: Annotated[int, Field(ge=0, le=9)] | None = None
    """CPU time spent on a smaller file, 0 to 9 (webp to 6); None: the format's default (webp 2, avif 1)."""
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
