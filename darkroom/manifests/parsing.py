"""Parses a document into a model, and turns pydantic's errors into findings with line, reason and suggestion.

A project file is parsed strictly. A manifest is parsed as far as it can be: what a cluster refuses is a finding, a
field that the local runtime does without is dropped with a note, and what else it cannot do leaves the manifest out.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from darkroom.manifests.errors import Finding, suggestion
from darkroom.manifests.model import FieldProblem, FieldProblemsError, Strict, fields_of
from darkroom.manifests.source import Document, FieldPath, dotted

ModelT = TypeVar("ModelT", bound=Strict)


def parse(model: type[ModelT], document: Document) -> tuple[ModelT | None, list[Finding]]:
    """Parse a document; returns the model, or None and the findings."""
    try:
        return model.model_validate(document.data), []
    except ValidationError as exc:
        return None, [finding for error in exc.errors() for finding in _findings(model, document, error)]


@dataclass(kw_only=True)
class Parsed(Generic[ModelT]):
    """What became of a manifest. Without a model there is a refusal or a limitation."""

    model: ModelT | None = None
    refused: list[Finding] = field(default_factory=list)
    """What a cluster refuses too."""
    limitations: list[FieldProblem] = field(default_factory=list)
    """What a cluster takes and the local runtime cannot do."""
    ignored: list[FieldProblem] = field(default_factory=list)
    """Fields that were dropped, each with the reason."""


def parse_leniently(model: type[ModelT], document: Document, is_refused: Callable[[int], bool]) -> Parsed[ModelT]:
    """Parse a manifest, dropping the fields that the local runtime does without.

    `is_refused` tells of a line whether a cluster refuses what is on it.
    """
    parsed: Parsed[ModelT] = Parsed()
    data = _without_nulls(document.data)
    while parsed.model is None and not parsed.refused and not parsed.limitations:
        try:
            parsed.model = model.model_validate(data)
        except ValidationError as exc:
            for error in exc.errors():
                for path, message in _problems(model, document, error):
                    if is_refused(document.line(path)):
                        parsed.refused.append(document.finding(path, message))
                    elif not _is_droppable(model, path, error) or not _drop(data, path):
                        parsed.limitations.append((path, message))
                    elif not _is_silent(model, path):
                        parsed.ignored.append((path, _why_ignored(model, path, message)))
    return parsed


def _without_nulls(value: Any) -> Any:
    """Return a copy without empty fields, which the API server treats as missing."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _is_droppable(model: type[Strict], path: FieldPath, error: ErrorDetails) -> bool:
    if error["type"] == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        return owner is None or path[-1] not in owner.refused
    # Marks have no effect on what runs, apart from those that the models know.
    return any(step in ("labels", "annotations") for step in path[:-1])


def _drop(data: Any, path: FieldPath) -> bool:
    """Delete a field; returns whether it was there."""
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(data, dict) and data.pop(path[-1], _MISSING) is not _MISSING


_MISSING = object()


def _is_silent(model: type[Strict], path: FieldPath) -> bool:
    owner = _model_at(model, path[:-1])
    return owner is not None and (owner.is_quiet or path[-1] in owner.silent)


def _why_ignored(model: type[Strict], path: FieldPath, message: str) -> str:
    owner = _model_at(model, path[:-1])
    reason = owner.ignored.get(str(path[-1])) if owner is not None else None
    return f"{dotted(path)} is ignored: {reason or message}"


def _findings(model: type[Strict], document: Document, error: ErrorDetails) -> list[Finding]:
    return [document.finding(path, message) for path, message in _problems(model, document, error)]


def _problems(model: type[Strict], document: Document, error: ErrorDetails) -> Iterator[FieldProblem]:
    path = _path_in_document(document, error)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblemsError):
        yield from (((*path, *below), message) for below, message in cause.problems)
    elif isinstance(cause, ValueError):
        yield path, str(cause)
    else:
        yield path, _message(model, path, error)


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
        elif (owner := model_in(current)) is not None:
            current = fields_of(owner).get(step)
        else:
            current = _argument(current, dict, -1)
    return model_in(current)


def _alternatives(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [found for argument in typing.get_args(annotation) for found in _alternatives(argument)]
    return [annotation]


def model_in(annotation: Any) -> type[Strict] | None:
    """Return the model that a field's type is, perhaps optionally; None if it is none."""
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
