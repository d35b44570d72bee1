"""The linter's tables of fields are those of the CustomResourceDefinitions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from darkroom.manifests.platform.schema import SERVED, SPECS
from darkroom.manifests.platform.schema.serving import REFUSED_OF_CONTAINER, REFUSED_OF_POD, REFUSED_OF_PORT
from darkroom.manifests.platform.schema.shape import (
    Anything,
    Flag,
    List,
    Map,
    Object,
    Recursive,
    Shape,
    Text,
    Whole,
    faults,
)

CRDS = Path(os.environ.get("KNATIVE_CRDS", Path(__file__).parents[4] / "shared" / "crds"))
NOT_DEFINED = {
    # Refused with a reason of their own rather than as unknown.
    *REFUSED_OF_POD,
    *REFUSED_OF_CONTAINER,
    *REFUSED_OF_PORT,
    # The definitions leave these out where they keep unknown fields; the webhooks read them.
    "timeout",
    "retryAfterMax",
    "format",
    "generateName",
    "creationTimestamp",
    "group",
    "address",
    "medium",
    "sizeLimit",
}


FROM_SOURCE = {
    # Written from the Go types; their definitions are not among the files.
    ("flows.knative.dev/v1", "Parallel"),
    ("flows.knative.dev/v1", "Sequence"),
    ("sources.knative.dev/v1", "ApiServerSource"),
}


def definitions() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in CRDS.glob("*.yaml"):
        crd = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for version in crd["spec"]["versions"]:
            group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
            yield f"{group}/{version['name']}", kind, version["schema"]["openAPIV3Schema"]["properties"].get("spec", {})


def differences(shape: Shape, schema: dict[str, Any], path: str) -> Iterator[str]:
    match shape:
        case Anything() | Recursive() | Map():
            return
        case Object():
            properties = schema.get("properties", {})
            yield from (f"{path}.{name} is missing here" for name in set(properties) - set(shape.fields))
            extra = set(shape.fields) - set(properties) - NOT_DEFINED
            # A part that the definition leaves open defines nothing below.
            if properties:
                yield from (f"{path}.{name} is not in the definition" for name in extra)
                yield from (f"{path} requires {shape.required}" for _ in [0] if set(shape.required) != required(schema))
            for name in set(properties) & set(shape.fields):
                yield from differences(shape.fields[name], properties[name], f"{path}.{name}")
        case List():
            if shape.max_items != schema.get("maxItems") or shape.min_items != schema.get("minItems", 0):
                yield f"{path} has {schema.get('minItems')} to {schema.get('maxItems')} items"
            yield from differences(shape.of, schema["items"], f"{path}[]")
        case Text():
            if list(shape.one_of) != schema.get("enum", []) or shape.max_length != schema.get("maxLength"):
                yield f"{path}: {schema}"
            if schema["type"] != "string" or shape.pattern != schema.get("pattern"):
                yield f"{path}: {schema}"
        case Whole():
            if schema["type"] != "integer" or list(shape.one_of) != schema.get("enum", []):
                yield f"{path}: {schema}"
        case Flag():
            if schema["type"] != "boolean":
                yield f"{path}: {schema}"


def required(schema: dict[str, Any]) -> set[str]:
    return set(schema.get("required", ()))


@pytest.mark.skipif(not CRDS.is_dir(), reason=f"no CustomResourceDefinitions in {CRDS}; set KNATIVE_CRDS")
def test_the_tables_are_those_of_the_definitions() -> None:
    found = {(version, kind): schema for version, kind, schema in definitions()}
    assert set(SPECS) - FROM_SOURCE <= set(found)
    assert [
        f"{kind}: {each}"
        for (version, kind), shape in SPECS.items()
        if (version, kind) in found
        for each in differences(shape, found[version, kind], "spec")
    ] == []


@pytest.mark.skipif(not CRDS.is_dir(), reason=f"no CustomResourceDefinitions in {CRDS}; set KNATIVE_CRDS")
def test_the_served_versions_are_those_of_the_definitions() -> None:
    served: dict[tuple[str, str], set[str]] = {}
    for version, kind, _ in definitions():
        group, _, name = version.rpartition("/")
        served.setdefault((group, kind), set()).add(name)
    assert {key: set(SERVED[key]) for key in served if key in SERVED} == {
        key: names for key, names in served.items() if key in SERVED
    }


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        ("3", Whole(minimum=0), "a must be a whole number, was '3'"),
        (True, Whole(), "a must be a whole number, was True"),
        (1.5, Whole(), "a must be a whole number, was 1.5"),
        (70000, Whole(minimum=1, maximum=65535), "a must be from 1 to 65535, was 70000"),
        (7, Text(), "a must be a string, was 7; put it in quotes"),
        ([], Object({}), "a must be a mapping, was a list"),
        ({"b": 1}, Object({"bc": Flag()}), "a has no field 'b'; did you mean \"bc\"?"),
        ({}, Object({"b": Flag()}, required=("b",)), "a must have the field 'b'"),
        (["x"] * 3, List(of=Text(), max_items=2), "a must have 0 to 2 elements, has 3"),
        ("yes", Flag(), "a must be true or false, was 'yes'"),
    ],
)
def test_a_difference_is_said_with_the_value_and_the_bound(value: object, shape: Shape, message: str) -> None:
    assert [text for _, _, text in faults(value, shape, ("a",))] == [message]


def test_a_null_is_a_field_that_is_not_there() -> None:
    assert [*faults({"a": None}, Object({"a": Text()}))] == []
