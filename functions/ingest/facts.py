"""What the header of a stored picture says, for a caller who may use it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN
from darkroom.contract.picture_facts import PictureFacts
from darkroom.imaging import Facts

_KEY = re.compile(STORAGE_KEY_PATTERN)
_MAX_KEY_CHARACTERS = 512


def requested_key(pairs: list[tuple[str, str]]) -> str:
    """Return the storage key of a query. Raises ParametersInvalidError, which lists every mistake."""
    mistakes = [FieldError(field=name[:80], message="unknown field") for name, _ in pairs if name != "storage_key"]
    keys = [value for name, value in pairs if name == "storage_key"]
    if len(keys) != 1:
        mistakes.append(FieldError(field="storage_key", message=f"required once, given {len(keys)} times"))
    elif len(keys[0]) > _MAX_KEY_CHARACTERS or not _KEY.fullmatch(keys[0]):
        mistakes.append(FieldError(field="storage_key", message=f"must match {STORAGE_KEY_PATTERN}, at most 512 long"))
    if mistakes:
        raise ParametersInvalidError(mistakes)
    return keys[0]


def picture_facts(storage_key: str, facts: Facts) -> Mapping[str, object]:
    """Return the facts as the API shows them."""
    shown = PictureFacts(
        storage_key=storage_key,
        format=facts.format,
        content_type=facts.content_type,
        width=facts.width,
        height=facts.height,
        frames=facts.frames,
        has_alpha=facts.has_alpha,
        has_profile=facts.has_icc,
        orientation=facts.orientation,
        bits=facts.bits,
        lossless=facts.lossless,
        palette_colours=facts.palette_colours,
        bytes=facts.input_bytes,
    )
    return shown.model_dump(mode="json")
