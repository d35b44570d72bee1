"""Parses a document into a model, and turns pydantic's errors into findings with line, reason and suggestion."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from darkroom.manifests.errors import Finding, suggestion
from darkroom.manifests.model import FieldProblemsError, Strict, fields_of
from darkroom.manifests.source import Document, FieldPath

ModelT = TypeVar("ModelT", bound=Strict)


def parse(model: type[ModelT], document: Document) -> tuple[ModelT | None, list[Finding]]:
    """Parse a document; returns the model, or None and the findings."""
    try:
        return model.model_validate(document.data), []
    except ValidationError as exc:
        return None, [finding for error in exc.errors() for finding in _findings(model, document, error)]


def _findings(model: type[Strict], document: Document, error: ErrorDetails) -> list[Finding]:
    path = _path_in_document(document, error)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblemsError):
        return [document.finding((*path, *below), message) for below, message in cause.problems]
    if isinstance(cause, ValueError):
        return [document.finding(path, str(cause))]
    return [document.finding(path, _message(model, path, error))]


def _path_in_document(document: Document, error: ErrorDetails) -> FieldPath:
    """Return pydantic's location without the steps it adds itself: a union's branch, `[key]`."""
    path: FieldPath = error["loc"]
    missing: FieldPath = path[-1:] if error["type"] == "missing" else ()
    path = path[: len(path) - len(missing)]
    while path not in document.lines:
        path = path[:-1]
    return (*path, *missing)


def _message(model: type[Strict], path: FieldPath, error: ErrorDetails) -> str:
    found = error["input"]
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _unknown_field(model, path)
        case "string_type":
            return f"must be a string, was {_shown(found)}" + _quotes_hint(found)
        case "literal_error":
            known = error["ctx"]["expected"]
            return f"must be {known}, was {_shown(found)}{_near_literal(known, found)}"
        case "model_type" | "dict_type":
            return f"must be a mapping, was {_shown(found)}"
        case "list_type":
            return f"must be a list, was {_shown(found)}"
        case _:
            return f"{_lower_first(error['msg'])}, was {_shown(found)}"


def _unknown_field(model: type[Strict], path: FieldPath) -> str:
    owner, name = _model_at(model, path[:-1]), str(path[-1])
    if owner is None:
        return "unknown field"
    if name in owner.refused:
        return f"cannot be used: {owner.refused[name]}"
    return f"unknown field{suggestion(name, fields_of(owner))}"


def _model_at(model: type[Strict], path: FieldPath) -> type[Strict] | None:
    """Find the model at a path, through lists, dictionaries and optional fields."""
    current: Any = model
    for step in path:
        if isinstance(step, int):
            current = _argument(current, list)
        elif (owner := _as_model(current)) is not None:
            current = fields_of(owner).get(step)
        else:
            current = _argument(current, dict, -1)
    return _as_model(current)


def _alternatives(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [found for argument in typing.get_args(annotation) for found in _alternatives(argument)]
    return [annotation]


def _as_model(annotation: Any) -> type[Strict] | None:
    for found in _alternatives(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel) and issubclass(found, Strict):
            return found
    return None


def _argument(annotation: Any, origin: type, index: int = 0) -> Any:
    """Return a type's argument: that of a list, or with -1 that of a dictionary's values."""
    for found in _alternatives(annotation):
        if typing.get_origin(found) is origin:
            return typing.get_args(found)[index]
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return repr(value)


def _quotes_hint(value: Any) -> str:
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""


def _near_literal(known: str, found: Any) -> str:
    names = [name for name in known.split("'") if name.strip(" ,") and name.strip() != "or"]
    return suggestion(found, names) if isinstance(found, str) and found else ""


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
