"""Parses what callers send into a parameters model, in one pass that reports every mistake.

Parameters arrive as JSON (typed) or as form and query fields (text); `parse_parameters` takes both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.parameters.job import JobParameters

P = TypeVar("P", bound=JobParameters)

_NUMBER_OR_BOOLEAN = re.compile(r"true|false|-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?")
_SHOWN_VALUE_CHARACTERS = 80
_MAX_ERRORS = 50


def parse_parameters(model: type[P], fields: Mapping[str, Any], *, text: bool = False) -> P:
    """Parse fields into the model. Raises ParametersInvalidError, which lists every mistake.

    `text` is for form and query fields, where a number is its digits and a boolean is `true` or `false`; in JSON a
    number in quotes is a mistake.
    """
    try:
        typed = (
            {name: _typed(model, name, value) for name, value in fields.items()}
            if text
            else {name: whole(value) for name, value in fields.items()}
        )
        return model.model_validate_json(json.dumps(typed, allow_nan=False), strict=True)
    except ValidationError as exc:
        raise ParametersInvalidError(field_errors(exc)) from exc


def _typed(model: type[JobParameters], name: str, text: Any) -> Any:
    """Convert a form's number or boolean to its JSON type. Other text stays text, and is refused where a number is
    required.
    """
    if name not in _numbers_and_booleans(model) or not isinstance(text, str) or not _NUMBER_OR_BOOLEAN.fullmatch(text):
        return text
    return json.loads(text)


def whole(value: Any) -> Any:
    """Convert 400.0 to 400, since JSON has one number type; also within objects."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _numbers_and_booleans(model: type[JobParameters]) -> frozenset[str]:
    return frozenset(name for name, field in model.model_fields.items() if _holds_number_or_boolean(field.annotation))


def _holds_number_or_boolean(annotation: Any) -> bool:
    arguments = get_args(annotation)
    is_whole = isinstance(annotation, type) and issubclass(annotation, int)
    return is_whole or annotation is float or any(_holds_number_or_boolean(argument) for argument in arguments)


def field_errors(exc: ValidationError) -> list[FieldError]:
    """Convert pydantic's errors to ours, one per field, with the offending value truncated."""
    return [
        FieldError(
            field=_field_name(error["loc"]) or "parameters",
            message="unknown field"
            if error["type"] == "extra_forbidden"
            else error["msg"].removeprefix("Value error, "),
            value=_shown(error["input"]),
        )
        for error in exc.errors(include_url=False, include_context=False)[:_MAX_ERRORS]
    ]


def _field_name(location: tuple[int | str, ...]) -> str:
    if location[:1] == ("renditions",):
        # After the rendition's name, pydantic inserts its type.
        location = (*location[:2], *location[3:])
    return ".".join(str(part) for part in location if not _is_union_branch(part))


def _is_union_branch(part: int | str) -> bool:
    """Return whether a part of the location is a union member's name, which pydantic inserts; it is no field."""
    return part in {"Compass", "Saliency", "FocalPoint"} or (isinstance(part, str) and part.endswith("]"))


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_VALUE_CHARACTERS else value[:_SHOWN_VALUE_CHARACTERS] + "…"
    return None
