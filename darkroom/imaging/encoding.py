"""Resolves how a result is encoded, from the header and the parameters alone: the contract's defaults, and what `keep`
keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.parameters.output import OutputParameters, encoding_mistakes
from darkroom.contract.parameters.values import Format, Metadata
from darkroom.imaging.facts import Facts

_DEFAULT_QUALITY = {Format.JPEG: 80, Format.WEBP: 79, Format.AVIF: 60}
_DEFAULT_EFFORT = {Format.WEBP: 2, Format.AVIF: 1, Format.PNG: 3, Format.GIF: 4}
# The efforts that each format's saver accepts; the contract's go from 0 to 9.
_EFFORTS = {Format.WEBP: (0, 6), Format.AVIF: (0, 9), Format.PNG: (0, 9), Format.GIF: (1, 9)}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    format: Format
    quality: int
    """1 to 100; without meaning for PNG, GIF and what is lossless."""
    effort: int | None
    """As the format's saver takes it; None: the encoder chooses by the pixels."""
    lossless: bool
    palette: bool
    colours: int
    """The most colours of a palette, a power of two."""
    progressive: bool
    metadata: Metadata
    max_bytes: int | None
    """What the result must not exceed. Where it does, there is no result."""
    may_lose: bool
    """Whether a result that is too large may lose quality."""


def resolve(facts: Facts, format: Format, parameters: OutputParameters) -> Encoding:
    """Resolve the encoding for a result of that format.

    Raises ParametersInvalidError where the parameters require what the format does not have, which only the header
    shows for format `keep`.
    """
    for mistake in encoding_mistakes(parameters, format):
        raise ParametersInvalidError([FieldError(field="format", message=mistake, value=parameters.format.value)])
    keeps = parameters.format is Format.KEEP and format is facts.format
    lossless = format is Format.PNG or bool(_first_set(parameters.lossless, keeps and facts.lossless))
    palette = format is Format.GIF or _first_set(
        parameters.palette, parameters.colours is not None or (keeps and facts.palette_colours > 0)
    )
    return Encoding(
        format=format,
        quality=_DEFAULT_QUALITY.get(format, 100) if parameters.quality is None else parameters.quality,
        effort=None if parameters.effort is None else effort_of(format, parameters),
        lossless=lossless and not (parameters.quality is not None and format is not Format.PNG),
        palette=bool(palette) and format in {Format.PNG, Format.GIF},
        colours=1 << ((parameters.colours or 256).bit_length() - 1),
        progressive=parameters.progressive,
        metadata=parameters.metadata,
        max_bytes=parameters.max_bytes,
        may_lose=parameters.lossless is not True,
    )


def effort_of(format: Format, parameters: OutputParameters) -> int:
    """Return the effort passed to the format's saver; 0 where it has none."""
    least, most = _EFFORTS.get(format, (0, 0))
    asked = _DEFAULT_EFFORT.get(format, 0) if parameters.effort is None else parameters.effort
    return max(least, min(asked, most))


def _first_set(*values: bool | None) -> bool:
    return next(bool(value) for value in values if value is not None)
