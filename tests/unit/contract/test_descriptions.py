"""OpenAPI, AsyncAPI and the reference: current, complete, and true to the code that validates requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from darkroom.cli.submit import command as submit
from darkroom.contract.asyncapi import asyncapi
from darkroom.contract.errors import FieldError, ParametersInvalidError, RateLimitedError
from darkroom.contract.job_types import JOB_TYPES, NAMES, JobType
from darkroom.contract.openapi import openapi
from darkroom.contract.schemas import error_types
from darkroom.problems import problem
from tools.reference import documents

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", list(documents()))
def test_what_is_checked_in_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == documents()[name], "run `make reference`"


@pytest.mark.parametrize("document", [openapi(), asyncapi()], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for path in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found: Any = document
        for part in path.split("/"):
            found = found[part]
        assert found


def undescribed(name: str, schema: Any) -> Iterator[str]:
    """Yield the properties without a description; rules about several properties describe none."""
    for field, value in schema.get("properties", {}).items():
        if "description" not in value:
            yield f"{name}.{field}"
        yield from undescribed(f"{name}.{field}", value)
    if "items" in schema:
        yield from undescribed(f"{name}[]", schema["items"])


def test_every_property_and_parameter_has_a_description() -> None:
    document = openapi()
    assert [found for name, one in document["components"]["schemas"].items() for found in undescribed(name, one)] == []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            parameters = operation.get("parameters", [])
            assert [one["name"] for one in parameters if not one.get("description")] == [], path


@pytest.mark.parametrize("job_type", JOB_TYPES, ids=NAMES)
def test_each_parameter_is_described_once_in_one_sentence(job_type: JobType) -> None:
    for name, field in job_type.parameters.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert f"| {field.description}" in documents()["reference.md"], name


def test_the_command_line_describes_each_parameter() -> None:
    shown = " ".join(CliRunner().invoke(submit, ["--help"], terminal_width=5000).output.split())
    for job_type in JOB_TYPES:
        for name, field in job_type.parameters.model_fields.items():
            assert f"--{name.replace('_', '-')} VALUE" in shown
            assert str(field.description) in shown


def test_the_reference_is_text() -> None:
    assert all(character.isprintable() or character == "\n" for character in documents()["reference.md"])


def test_every_code_of_the_tree_is_listed() -> None:
    listed = openapi()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert {kind.code for kind in error_types()} == set(listed)
    assert {"parameters.invalid", "rate.limited", "internal"} <= set(listed)


def validator(name: str) -> Any:
    schemas = openapi()["components"]["schemas"]
    text = json.dumps({"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"})
    return jsonschema_rs.validator_for(json.loads(text))


@pytest.mark.parametrize("name", ["ResizeForm", "CropForm", "ResizeSubmission", "CropSubmission", "CloudEventBatch"])
def test_requests_can_be_generated_from_their_schema(name: str) -> None:
    # schemathesis makes requests from this form; a schema whose rules have too many cases together is left as it is.
    schemas = openapi()["components"]["schemas"]
    schema = {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"}
    assert jsonschema_rs.canonicalize(schema).kind is not jsonschema_rs.canonical.CanonicalKind.RAW


def test_problem_documents_follow_their_schema() -> None:
    for error in (
        ParametersInvalidError(
            [FieldError(field="a", message="b", value={"c": 1}), FieldError(field="d", message="e")]
        ),
        RateLimitedError("too often", retry_after_s=3),
    ):
        validator("Problem").validate(json.loads(problem(error, request_id="r").body))


def is_taken(job_type: JobType, fields: dict[str, Any]) -> bool:
    try:
        job_type.parse(fields)
    except ParametersInvalidError:
        return False
    return True


_sides = st.sampled_from([None, 0, 1, 400, 8192, 8193, "1", 1.5, True])
_fields: dict[str, st.SearchStrategy[Any]] = {
    "format": st.sampled_from(["keep", "jpeg", "png", "webp", "avif", "gif", "tiff"]),
    "quality": st.sampled_from([None, 1, 100, 101]),
    "lossless": st.sampled_from([None, True, False, "true"]),
    "palette": st.sampled_from([None, True, False]),
    "colours": st.sampled_from([None, 1, 2, 256, 257]),
    "max_bytes": st.sampled_from([None, 99, 100, 10**9]),
    "rotate": st.sampled_from([0, 90, 45, "90", 360]),
    "flip": st.sampled_from([None, "vertical", "both"]),
    "blur": st.sampled_from([None, "off", 0.3, 100, 101]),
    "placeholder": st.sampled_from([None, "thumbhash", "lqip"]),
    "overlay": st.sampled_from(
        [
            None,
            {"storage_key": "uploads/a"},
            {"storage_key": "../a"},
            {},
            {"storage_key": "a", "gravity": "attention"},
            {"storage_key": "a", "gravity": {"x": 0.1, "y": 1}, "scale": 1, "opacity": 0},
            {"storage_key": "a", "scale": 0},
            {"storage_key": "a", "opacity": 2},
            "uploads/a",
        ]
    ),
    "width": _sides,
    "height": _sides,
    "x": st.sampled_from([None, 0, -1, 7]),
    "y": st.sampled_from([None, 0, 5]),
    "aspect": st.sampled_from([None, "16:9", "0:1", "wide", 3]),
    "gravity": st.sampled_from(["centre", "attention", "middle", {"x": 0.5, "y": 1}, {"x": 2, "y": 0}, None]),
    "sharpen": st.sampled_from([None, "off", "on", 0.3, 11]),
    "background": st.sampled_from([None, "#fff", "#12345678", "transparent", "red", ""]),
    "dpr": st.sampled_from([1, 4, 5, 1.5, None]),
    "enlarge": st.sampled_from([True, False, "true", 1, None]),
    "fit": st.sampled_from(["cover", "crop", None]),
    "colour": st.just("red"),
}


@pytest.mark.parametrize("job_type", JOB_TYPES, ids=NAMES)
def test_the_schema_of_parameters_takes_what_the_code_takes(job_type: JobType) -> None:
    schema = validator(job_type.parameters.__name__)
    often = {field: _fields[field] for field in ("width", "height", "x", "y", "aspect", "gravity")}

    encoding = ("format", "quality", "lossless", "palette", "colours", "max_bytes")
    often_encoded = {field: _fields[field] for field in encoding} | {"aspect": st.none()}
    sized = {"width": st.just(4), "height": st.just(4)}

    @given(
        st.fixed_dictionaries({}, optional=often)
        | st.fixed_dictionaries(sized, optional=often_encoded)
        | st.fixed_dictionaries({}, optional=_fields)
    )
    def agree(fields: dict[str, Any]) -> None:
        assert schema.is_valid(fields) == is_taken(job_type, fields), fields

    agree()
