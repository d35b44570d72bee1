"""JSON Schemas of requests and responses, generated from the types that validate them; for OpenAPI and AsyncAPI.

The types describe nearly everything. Rules that are written in code (one side is required, say) are added by each model
itself, and a test compares them with the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import BaseModel

from darkroom.contract import errors, unreadable
from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_details import WAITING_CODES
from darkroom.contract.job_types import JOB_TYPES, NAMES, JobType
from darkroom.contract.jobs import STORAGE_KEY_PATTERN, JobFailure, JobMessage, JobResult, JobStatus
from darkroom.contract.parameters.output import OutputParameters

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
        found[job_type.parameters.__name__] |= job_type.parameters.json_rules
    return {
        **{name: _tidy(schema) for name, schema in sorted(found.items())},
        "JobStatus": {"type": "string", "enum": [status.value for status in JobStatus]},
        "JobType": {"type": "string", "enum": list(NAMES)},
        **_for_each("Submission", lambda job_type: _submission(job_type.parameters.__name__)),
        **_for_each("Form", lambda job_type: _form(job_type.parameters)),
        "Accepted": _object({"job_id": _uuid(), "status": {"const": "queued"}}),
        "AcceptedBatch": _object({"jobs": {"type": "array", "items": reference("Accepted")}}),
        "SignedUpload": _signed_upload(),
        "Job": job(),
        "UnreadableJob": unreadable_job(),
        "JobPage": _object(
            {"jobs": {"type": "array", "items": shown_job()}, "next_cursor": {"type": "string"}},
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
            **_details(moment),
        },
        optional={"result", "error", "started_at", "finished_at", *_details(moment)},
    )


def shown_job() -> Schema:
    """Return the schema of what the API shows in a job's place."""
    return {"anyOf": [reference("Job"), reference("UnreadableJob")]}


def unreadable_job() -> Schema:
    """Return the schema of a job whose record is of another version of Darkroom, or damaged."""
    return _object(
        {
            "job_id": _uuid(),
            "type": {"type": "string"},
            "status": {"const": unreadable.STATUS},
            "error": reference("JobFailure"),
        }
    )


def _details(moment: Schema) -> dict[str, Schema]:
    """Return the schemas of what only a request for one job gets."""
    text: Schema = {"type": "string"}
    attempt = {
        "attempt": {"type": "integer", "minimum": 1},
        "instance": text,
        "began": moment,
        "ended": {"anyOf": [moment, _NULL]},
        "code": {"anyOf": [text, _NULL]},
    }
    return {
        "parameters": {"type": "object"},
        "cost_class": text,
        "waiting_for": _object({"code": {"enum": list(WAITING_CODES)}, "sentence": text, "since": moment}),
        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "attempts_log": {"type": "array", "items": _object(attempt)},
    }


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
    return {**definitions, model.__name__: schema}


def _tidy(value: Any) -> Any:
    """Remove the titles that pydantic generates, and the docstrings, which are written for readers of the code."""
    if isinstance(value, list):
        return [_tidy(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _tidy(member)
        for name, member in value.items()
        if name != "description" and not (name == "title" and isinstance(member, str))
    }


def _as_text(schema: Schema) -> Schema:
    if "anyOf" not in schema:
        return schema
    branches = [branch for branch in schema["anyOf"] if branch != _NULL]
    is_gravity = reference("FocalPoint") in branches
    if is_gravity:
        branches = [branch for branch in branches if branch != reference("FocalPoint")]
    rest = {name: member for name, member in schema.items() if name not in {"anyOf", "default"}}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    if len(branches) == 1:
        return {**branches[0], **rest}
    described = {"description": "Or the JSON text of a focal point."} if is_gravity else {}
    return {"anyOf": branches, **rest, **described}


def _submission(parameters: str) -> Schema:
    return _object({"parameters": reference(parameters), "input": reference("JobInput")})


def _form(model: type[OutputParameters]) -> Schema:
    image = {"type": "string", "format": "binary", "description": "The picture."}
    fields = text_properties(model)
    return {**_object({"image": image, **fields}, optional=set(fields)), **model.text_rules}


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
