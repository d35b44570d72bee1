"""JSON Schemas of requests and responses, generated from the types that validate them; for OpenAPI and AsyncAPI.

The types describe nearly everything. Rules that are written in code (one side is required, say) are added by each model
itself, and a test compares them with the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import BaseModel

from darkroom.contract import errors
from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_types import JOB_TYPES, NAMES, JobType
from darkroom.contract.jobs import JobFailure, JobMessage, JobResult, JobStatus
from darkroom.contract.parameters.output import JsonRules, OutputParameters
from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema. `False` in its place matches nothing: a field that must be absent."""

REFERENCES = "#/components/schemas/"

# The String type of CloudEvents core 3.1.1: no control characters, no noncharacters.
_EVENT_TEXT = "^[^\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]*$"
_NULL: Schema = {"type": "null"}


def reference(name: str) -> Schema:
    return {"$ref": REFERENCES + name}


def components() -> dict[str, Schema]:
    """Return every named schema."""
    found: dict[str, Schema] = {}
    for model in (JobMessage, JobResult, JobFailure):
        found |= _named(model)
    found["JobMessage"]["properties"]["type"] = reference("JobType")
    for job_type in JOB_TYPES:
        found |= _named(job_type.parameters)
        found[job_type.parameters.__name__] |= _rules(job_type.parameters, job_type.parameters.json_rules)
    return {
        **{name: _tidy(schema) for name, schema in sorted(found.items())},
        "JobStatus": {"type": "string", "enum": [status.value for status in JobStatus]},
        "JobType": {"type": "string", "enum": list(NAMES)},
        **_for_each("Submission", lambda job_type: _submission(job_type.parameters.__name__)),
        **_for_each("Form", lambda job_type: _form(job_type.parameters)),
        "Accepted": _object({"job_id": _uuid(), "status": {"const": "queued"}}),
        "AcceptedBatch": _object({"jobs": {"type": "array", "items": reference("Accepted")}}),
        "UploadRequest": _object({"bytes": {"type": ["integer", "null"], "minimum": 1}}, optional={"bytes"}),
        "SignedUpload": _signed_upload(),
        "Job": job(),
        "JobPage": _object(
            {"jobs": {"type": "array", "items": reference("Job")}, "next_cursor": {"type": "string"}},
            optional={"next_cursor"},
        ),
        "Health": _object(
            {"status": {"const": "ok"}, "checks": {"type": "object", "additionalProperties": {"const": "ok"}}},
            optional={"checks"},
        ),
        "Problem": problem(),
        **_for_each("EventData", _event_data),
        "EventData": _any_of("EventData"),
        **_for_each("Event", lambda kind: cloud_event(kind.event_type, reference(f"{kind.schema_name}EventData"))),
        "CloudEvent": _any_of("Event"),
        "CloudEventBatch": {"type": "array", "items": reference("CloudEvent")},
    }


def _for_each(ending: str, make: Callable[[JobType], Schema]) -> dict[str, Schema]:
    return {f"{job_type.schema_name}{ending}": make(job_type) for job_type in JOB_TYPES}


def _any_of(ending: str) -> Schema:
    """Return the schema that accepts any job type's variant."""
    return {"anyOf": [reference(f"{job_type.schema_name}{ending}") for job_type in JOB_TYPES]}


def text_properties(model: type[BaseModel]) -> dict[str, Schema]:
    """Return a model's fields as form and query fields: text, so without null; a focal point is its JSON."""
    properties: dict[str, Schema] = _named(model)[model.__name__]["properties"]
    return {name: _as_text(schema) for name, schema in _tidy(properties).items()}


def job() -> Schema:
    """Return the schema of a job in the API. Absent fields belong to states not reached yet."""
    result = _named(JobResult)["JobResult"]["properties"]
    moment = {"type": "string", "format": "date-time"}
    signed = {"url": {"type": "string", "format": "uri"}, "expires_at": moment}
    return _object(
        {
            "job_id": _uuid(),
            "type": reference("JobType"),
            "status": reference("JobStatus"),
            "result": _object(_tidy({**signed, **result}), optional=set(signed)),
            "error": reference("JobFailure"),
            "attempts": {"type": "integer", "minimum": 0},
            "request_id": {"type": "string"},
            "created_at": moment,
            "started_at": moment,
            "finished_at": moment,
            "timings_ms": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        optional={"result", "error", "started_at", "finished_at"},
    )


def problem() -> Schema:
    """Return the schema of a problem document (RFC 9457), with `code` and the fields that some errors add."""
    field_error = _object({"field": {"type": "string"}, "message": {"type": "string"}, "value": {}}, optional={"value"})
    schema = _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"enum": [kind.code for kind in error_types()]},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": field_error},
            "dependency": {"type": "string"},
            "events": {"type": "array", "items": _verdict()},
        },
        optional={"errors", "dependency", "events"},
    )
    return {**schema, "additionalProperties": True}


def _verdict() -> Schema:
    """Return the schema of the verdict on one event of a refused batch."""
    text: Schema = {"type": "string"}
    index: Schema = {"type": "integer"}
    verdict: dict[str, Schema] = {
        "index": index,
        "verdict": {"enum": ["sound", "refused"]},
        "code": text,
        "detail": text,
    }
    return {**_object(verdict, optional={"code", "detail"}), "additionalProperties": True}


def cloud_event(event_type: str, data: Schema) -> Schema:
    """Return the schema of CloudEvents 1.0 in the JSON event format, where a null attribute counts as absent."""
    text = {"type": "string", "minLength": 1, "pattern": _EVENT_TEXT}
    extension = {
        "anyOf": [
            {"type": "string", "pattern": _EVENT_TEXT},
            {"type": "boolean"},
            {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
            _NULL,
        ]
    }
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
        "additionalProperties": extension,
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
            "type": {"const": event_type},
            "subject": {"anyOf": [text, _NULL]},
            "time": {"anyOf": [{"type": "string", "format": "date-time"}, _NULL]},
            "datacontenttype": {"anyOf": [{"const": "application/json"}, _NULL]},
            "dataschema": {"anyOf": [{"type": "string", "format": "uri"}, _NULL]},
            "data": data,
        },
    }


def error_types() -> list[type[DarkroomError]]:
    """Return every error type with a code of its own, sorted by status and code."""
    found = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DarkroomError) and "code" in vars(kind)
    ]
    return sorted(found, key=lambda kind: (kind.status, kind.code))


def _named(model: type[BaseModel]) -> dict[str, Schema]:
    schema = model.model_json_schema(ref_template=REFERENCES + "{model}")
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    named = {**definitions, model.__name__: schema}
    # The docstrings of models are written for readers of the code.
    return {name: {key: member for key, member in one.items() if key != "description"} for name, one in named.items()}


def _tidy(value: Any) -> Any:
    """Remove the titles that pydantic generates."""
    if isinstance(value, list):
        return [_tidy(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {name: _tidy(member) for name, member in value.items() if not (name == "title" and isinstance(member, str))}


_JSON_OBJECTS = {"FocalPoint": "a focal point", "Overlay": "an overlay"}
"""What a form gives as JSON text."""


def _as_text(schema: Schema) -> Schema:
    """Return a field as it is in a form or a query, where there is no null and an object is its JSON text."""
    if "anyOf" not in schema:
        return schema
    branches = [branch for branch in schema["anyOf"] if branch != _NULL]
    rest = {name: member for name, member in schema.items() if name not in {"anyOf", "default"}}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    for name, words in _JSON_OBJECTS.items():
        if reference(name) in branches:
            branches = [branch for branch in branches if branch != reference(name)] or [{"type": "string"}]
            rest["description"] = f"{rest.get('description', '')} Takes the JSON text of {words}.".strip()
    if len(branches) == 1:
        return {**branches[0], **rest}
    return {"anyOf": branches, **rest}


def _submission(parameters: str) -> Schema:
    return _object({"parameters": reference(parameters), "input": reference("JobInput")})


def _form(model: type[OutputParameters]) -> Schema:
    image = {"type": "string", "format": "binary", "description": "The picture."}
    fields = text_properties(model)
    return {**_object({"image": image, **fields}, optional=set(fields)), **_rules(model, model.text_rules)}


def _rules(model: type[OutputParameters], own: JsonRules) -> Schema:
    return {"allOf": [*([own] if own else []), *model.encoding_rules]}


def _event_data(job_type: JobType) -> Schema:
    """Return the schema of a job message in which a sender may omit what ingest fills in."""
    message = _named(JobMessage)["JobMessage"]["properties"]
    return _object(
        {
            "parameters": reference(job_type.parameters.__name__),
            "input": reference("JobInput"),
            "job_id": {"anyOf": [_tidy(message["job_id"]), _NULL]},
            "type": {"enum": [job_type.name, None]},
            "metadata": {"type": ["object", "null"]},
        },
        optional={"job_id", "type", "metadata"},
    )


def _signed_upload() -> Schema:
    upload = _object(
        {
            "url": {"type": "string", "format": "uri"},
            "method": {"const": "PUT"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "expires_at": {"type": "string", "format": "date-time"},
        }
    )
    return _object({"storage_key": {"type": "string", "pattern": STORAGE_KEY_PATTERN}, "upload": upload})


def _uuid() -> Schema:
    return {"type": "string", "format": "uuid"}


def _object(properties: dict[str, Schema], *, optional: set[str] | frozenset[str] = frozenset()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
