"""A small notation for the shape of YAML, and the function that compares a value with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from darkroom.manifests.errors import suggestion
from darkroom.manifests.source import FieldPath

INT32 = 2**31 - 1
INT64 = 2**63 - 1


class FaultKind(StrEnum):
    UNKNOWN_FIELD = "unknown field"
    WRONG_VALUE = "wrong value"


Fault: TypeAlias = tuple[FaultKind, FieldPath, str]
"""The kind, the field, and a message that says what is wrong there, with the measured value."""


@dataclass(frozen=True, kw_only=True)
class Text:
    one_of: tuple[str, ...] = ()
    pattern: str | None = None
    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class Whole:
    minimum: int = -INT64 - 1
    maximum: int = INT64
    one_of: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flag:
    pass


@dataclass(frozen=True)
class WholeOrText:
    """A number or a string, such as a port or a quantity."""

    pattern: str | None = None


@dataclass(frozen=True)
class Anything:
    """Any value, not inspected: a part that has its own rule, or that Serving refuses as a whole."""


@dataclass(frozen=True, kw_only=True)
class List:
    of: Shape
    min_items: int = 0
    max_items: int | None = None


@dataclass(frozen=True)
class Map:
    """A mapping with any names, whose values have one shape."""

    of: Shape


@dataclass(frozen=True)
class Object:
    fields: Mapping[str, Shape]
    required: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass
class Recursive:
    """A shape that contains itself, such as a filter's `not`. `shape` is set after creation."""

    shape: Shape | None = None


Shape: TypeAlias = Text | Whole | Flag | WholeOrText | Anything | List | Map | Object | Recursive

TEXT = Text()
FLAG = Flag()
ANYTHING = Anything()
INTEGER_32 = Whole(minimum=-INT32 - 1, maximum=INT32)
INTEGER_64 = Whole()
TEXTS = List(of=TEXT)
TEXT_MAP = Map(TEXT)


def faults(value: Any, shape: Shape, path: FieldPath = ()) -> Iterator[Fault]:
    """Every difference between a value and its shape. A null counts as a missing field, as it does for the API."""
    match shape:
        case _ if value is None:
            return
        case Anything():
            return
        case Recursive(shape=Object() as inner):
            yield from faults(value, inner, path)
        case Object():
            yield from _object_faults(value, shape, path)
        case Map():
            yield from _map_faults(value, shape, path)
        case List():
            yield from _list_faults(value, shape, path)
        case Text():
            yield from _text_faults(value, shape, path)
        case Whole():
            yield from _whole_faults(value, shape, path)
        case WholeOrText():
            if isinstance(value, bool | dict | list):
                yield _wrong_type(path, "a number or a string", value)
            elif shape.pattern is not None and not re.fullmatch(shape.pattern, str(value)):
                yield FaultKind.WRONG_VALUE, path, f"{_name(path)} must look like 500m or 2Gi, was {value!r}"
        case Flag():
            if not isinstance(value, bool):
                yield _wrong_type(path, "true or false", value)


def _object_faults(value: Any, shape: Object, path: FieldPath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _wrong_type(path, "a mapping", value)
        return
    for name, each in value.items():
        if name in shape.fields:
            yield from faults(each, shape.fields[name], (*path, name))
        else:
            message = f"{_name(path)} has no field {name!r}{suggestion(str(name), shape.fields)}"
            yield FaultKind.UNKNOWN_FIELD, (*path, str(name)), message
    for name in shape.required:
        if value.get(name) is None:
            yield FaultKind.WRONG_VALUE, path, f"{_name(path)} must have the field {name!r}"


def _map_faults(value: Any, shape: Map, path: FieldPath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield _wrong_type(path, "a mapping", value)
        return
    for name, each in value.items():
        yield from faults(each, shape.of, (*path, str(name)))


def _list_faults(value: Any, shape: List, path: FieldPath) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield _wrong_type(path, "a list", value)
        return
    if len(value) < shape.min_items or (shape.max_items is not None and len(value) > shape.max_items):
        most = "more" if shape.max_items is None else str(shape.max_items)
        message = f"{_name(path)} must have {shape.min_items} to {most} elements, has {len(value)}"
        yield FaultKind.WRONG_VALUE, path, message
    for index, each in enumerate(value):
        yield from faults(each, shape.of, (*path, index))


def _text_faults(value: Any, shape: Text, path: FieldPath) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield _wrong_type(path, "a string", value)
    elif shape.one_of and value not in shape.one_of:
        choices = ", ".join(shape.one_of)
        message = f"{_name(path)} must be one of {choices}, was {value!r}{suggestion(value, shape.one_of)}"
        yield FaultKind.WRONG_VALUE, path, message
    elif len(value) < shape.min_length:
        yield FaultKind.WRONG_VALUE, path, f"{_name(path)} must not be empty"
    elif shape.max_length is not None and len(value) > shape.max_length:
        message = f"{_name(path)} may have {shape.max_length} characters, has {len(value)}"
        yield FaultKind.WRONG_VALUE, path, message
    elif shape.pattern is not None and not re.search(shape.pattern, value):
        yield FaultKind.WRONG_VALUE, path, f"{_name(path)} must match {shape.pattern}, was {value!r}"


def _whole_faults(value: Any, shape: Whole, path: FieldPath) -> Iterator[Fault]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield _wrong_type(path, "a whole number", value)
    elif shape.one_of and value not in shape.one_of:
        choices = ", ".join(str(each) for each in shape.one_of)
        yield FaultKind.WRONG_VALUE, path, f"{_name(path)} must be one of {choices}, was {value}"
    elif not shape.minimum <= value <= shape.maximum:
        message = f"{_name(path)} must be from {shape.minimum} to {shape.maximum}, was {value}"
        yield FaultKind.WRONG_VALUE, path, message


def _wrong_type(path: FieldPath, wanted: str, value: Any) -> Fault:
    quoted = "; put it in quotes" if wanted == "a string" and isinstance(value, bool | int | float) else ""
    return FaultKind.WRONG_VALUE, path, f"{_name(path)} must be {wanted}, was {_shown(value)}{quoted}"


def _shown(value: Any) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return repr(value)


def _name(path: FieldPath) -> str:
    """The nearest name: `containers[0]` for an element of a list, `spec` at the top."""
    index = ""
    for step in reversed(path):
        if isinstance(step, str):
            return step + index
        index = f"[{step}]{index}"
    return f"spec{index}"
