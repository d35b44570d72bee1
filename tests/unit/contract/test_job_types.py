"""The table of job types, and what is derived from it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from darkroom.cli.submit import command as submit
from darkroom.contract.asyncapi import asyncapi
from darkroom.contract.errors import UnknownJobTypeError
from darkroom.contract.job_types import EVENT_TYPES, JOB_TYPES, NAMES, JobType, job_type_named, job_type_of_event
from darkroom.contract.jobs import JobMessage
from darkroom.contract.openapi import openapi
from darkroom.contract.parameters.output import OutputParameters

MESSAGE: dict[str, Any] = {
    "job_id": "6f0b4c7e-9c60-4d1c-8d9f-3f100d5f0d8c",
    "type": "resize",
    "parameters": {"width": 1},
    "input": {"storage_key": "uploads/a"},
    "metadata": {"created_at": "2026-01-01T00:00:00Z", "request_id": "r"},
}


def test_the_table_is_what_the_contract_says() -> None:
    rows = [(job_type.name, job_type.event_type, job_type.path) for job_type in JOB_TYPES]
    assert rows == [
        ("resize", "dev.darkroom.resize.requested", "/api/v1/resize"),
        ("crop", "dev.darkroom.crop.requested", "/api/v1/crop"),
        ("renditions", "dev.darkroom.renditions.requested", "/api/v1/renditions"),
    ]


def test_every_row_is_found_by_its_name_and_by_its_event_and_no_two_are_alike() -> None:
    assert [job_type_named(name) for name in NAMES] == list(JOB_TYPES)
    assert [job_type_of_event(event_type) for event_type in EVENT_TYPES] == list(JOB_TYPES)
    assert len(set(NAMES)) == len(JOB_TYPES)


@pytest.mark.parametrize("name", ["", "Resize", "two words", "re/size", "re-size", "9lives", "x" * 41])
def test_a_name_that_is_no_word_everywhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"was {name!r}")):
        JobType(name=name, parameters=OutputParameters, summary="Do it")


def test_an_unknown_name_gets_the_names_of_the_table_and_the_nearest() -> None:
    with pytest.raises(UnknownJobTypeError) as refused:
        job_type_named("resise")
    assert str(refused.value) == "unknown job type 'resise'; did you mean 'resize'? there are resize, crop, renditions"
    with pytest.raises(UnknownJobTypeError) as refused:
        job_type_named("sharpen" * 1000)
    assert str(refused.value) == f"unknown job type {('sharpen' * 1000)[:100]!r}; there are resize, crop, renditions"


def test_a_message_of_an_unknown_type_is_refused_with_the_names_of_the_table() -> None:
    assert JobMessage.model_validate(MESSAGE).type == "resize"
    with pytest.raises(ValidationError, match="unknown job type 'blur'; there are resize, crop, renditions"):
        JobMessage.model_validate({**MESSAGE, "type": "blur"})


@pytest.mark.parametrize("job_type", JOB_TYPES, ids=NAMES)
def test_every_row_has_its_place_in_the_documents(job_type: JobType) -> None:
    api, events = openapi(), asyncapi()
    operation = api["paths"][job_type.path]["post"]
    assert (operation["operationId"], operation["summary"]) == (job_type.name, job_type.summary)
    asked = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert asked == {*job_type.parameters.model_fields, "preset"}
    for ending in ("Form", "Submission", "Event", "EventData"):
        assert f"{job_type.schema_name}{ending}" in api["components"]["schemas"]
    assert job_type.name in api["components"]["schemas"]["JobType"]["enum"]
    assert job_type.event_type in json.dumps(api["paths"]["/api/v1/events"])
    assert job_type.event_type in {message["name"] for message in events["components"]["messages"].values()}


def test_the_command_has_every_parameter_once_beside_its_own_options() -> None:
    options = [parameter.name for parameter in submit.params]
    assert len(options) == len(set(options))
    for job_type in JOB_TYPES:
        assert set(job_type.parameters.model_fields) <= set(options)
