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
from darkroom.contract.jobs import JobFailure, JobMessage, JobResult, JobStatus
from darkroom.contract.parameters.job import JobParameters, JsonRules
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN
from darkroom.contract.picture_facts import PictureFacts
from darkroom.contract.requests import PRESET, RENDITIONS
from darkroom.contract.schemas_renditions import (
    PRESET_DESCRIPTION,
    asked_rendition_schemas,
    asked_renditions,
    preset,
    preset_name,
    preset_use,
    rendition,
    srcset,
)

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
    for model in (JobMessage, JobResult, JobFailure, PictureFacts):
        found |= _named(model)
    found["JobMessage"]["properties"]["type"] |= reference("JobType")
    for job_type in JOB_TYPES:
        # What other types have of it already has its rules.
        found = {**_named(job_type.parameters), **found}
        found[job_type.parameters.__name__] |= _rules(job_type.parameters, job_type.parameters.json_rules)
    return {
        **{name: _tidy(schema) for name, schema in sorted(found.items())},
        "JobStatus": {"type": "string", "enum": [status.value for status in JobStatus]},
        "JobType": {"type": "string", "enum": list(NAMES)},
        **_for_each("Submission", _submission),
        **_for_each("Form", _form),
        **asked_rendition_schemas(),
        "Preset": preset(),
        "PresetList": _object({"presets": {"type": "array", "items": reference("Preset"), "description": "By name."}}),
        "PresetUse": preset_use(),
        "SrcSet": srcset(),
        "Accepted": _object(
            {
                "job_id": {**_uuid(), "description": "The job."},
                "status": {"const": "queued", "description": "The job waits for a function."},
            }
        ),
        "AcceptedBatch": _object(
            {"jobs": {"type": "array", "items": reference("Accepted"), "description": "One per event, in their order."}}
        ),
        "UploadRequest": _object(
            {"bytes": {"type": ["integer", "null"], "minimum": 1, "description": "The picture's size."}},
            optional={"bytes"},
        ),
        "SignedUpload": _signed_upload(),
        "Job": job(),
        "UnreadableJob": unreadable_job(),
        "JobPage": _object(
            {
                "jobs": {"type": "array", "items": shown_job(), "description": "Newest first."},
                "next_cursor": {"type": "string", "description": "The cursor of the next page; absent on the last."},
            },
            optional={"next_cursor"},
        ),
        "Health": _object(
            {
                "status": {"const": "ok", "description": "Everything is."},
                "checks": {
                    "type": "object",
                    "additionalProperties": {"const": "ok"},
                    "description": "What the function depends on, by name.",
                },
            },
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
    signed = {
        "url": {"type": "string", "format": "uri", "description": "A signed URL of the result."},
        "expires_at": {**moment, "description": "Until when the URL is valid."},
    }
    one_result = _object(_tidy({**signed, **result}), optional={*signed, "placeholder"})
    step = {"type": "integer"}
    return _object(
        {
            "job_id": {**_uuid(), "description": "The job."},
            "type": {**reference("JobType"), "description": "The kind of job."},
            "status": {**reference("JobStatus"), "description": "Where the job is; completed and failed are final."},
            "result": {**one_result, "description": "The result of a completed job."},
            "results": {
                "type": "object",
                "additionalProperties": rendition(one_result),
                "description": "The renditions of a job with several results, by name.",
            },
            "preset": {**reference("PresetUse"), "description": "The preset that the job was asked for with."},
            "error": {**reference("JobFailure"), "description": "Why a failed job failed."},
            "attempts": {"type": "integer", "minimum": 0, "description": "How many attempts have begun."},
            "request_id": {"type": "string", "description": "The id of the request that made the job."},
            "created_at": {**moment, "description": "When the job was accepted."},
            "started_at": {**moment, "description": "When the first attempt began."},
            "finished_at": {**moment, "description": "When the job ended."},
            "timings_ms": {
                "type": "object",
                "additionalProperties": step,
                "description": "Milliseconds by step: queued, fetch, render, store.",
            },
            **_details(moment),
        },
        optional={"result", "results", "preset", "error", "started_at", "finished_at", *_details(moment)},
    )


def shown_job() -> Schema:
    """Return the schema of what the API shows in a job's place."""
    return {"anyOf": [reference("Job"), reference("UnreadableJob")]}


def unreadable_job() -> Schema:
    """Return the schema of a job whose record is of another version of Darkroom, or damaged."""
    return _object(
        {
            "job_id": {**_uuid(), "description": "The job."},
            "type": {"type": "string", "description": "The kind of job, as far as the record says."},
            "status": {"const": unreadable.STATUS, "description": "The record cannot be read; nobody waits for it."},
            "error": {**reference("JobFailure"), "description": "What cannot be read."},
        }
    )


def _details(moment: Schema) -> dict[str, Schema]:
    """Return the schemas of what only a request for one job gets."""
    text: Schema = {"type": "string"}
    attempt = {
        "attempt": {"type": "integer", "minimum": 1, "description": "The number of the claim."},
        "instance": {**text, "description": "Which instance made it."},
        "began": {**moment, "description": "When it began."},
        "ended": {"anyOf": [moment, _NULL], "description": "When it ended; null while it is under way."},
        "code": {"anyOf": [text, _NULL], "description": "The code of its error; null if it has none."},
    }
    waiting = {
        "code": {"enum": list(WAITING_CODES), "description": "For programs."},
        "sentence": {**text, "description": "For people."},
        "since": {**moment, "description": "Since when."},
    }
    return {
        "parameters": {"type": "object", "description": "What the job was asked for. In answers about one job only."},
        "cost_class": {
            **text,
            "description": "Which of a function's Services does the job: standard, heavy or background.",
        },
        "waiting_for": {**_object(waiting), "description": "What an unfinished job waits for."},
        "trace_id": {**text, "pattern": "^[0-9a-f]{32}$", "description": "The trace of the job, if it has one."},
        "attempts_log": {
            "type": "array",
            "items": _object(attempt),
            "description": "The latest attempts, oldest first.",
        },
    }


def problem() -> Schema:
    """Return the schema of a problem document (RFC 9457), with `code` and the fields that some errors add."""
    text: Schema = {"type": "string"}
    field_error = _object(
        {
            "field": {**text, "description": "The field's name."},
            "message": {**text, "description": "What is wrong with it."},
            "value": {"description": "What was sent, shortened."},
        },
        optional={"value"},
    )
    schema = _object(
        {
            "type": {**text, "format": "uri", "description": "Identifies the kind of problem."},
            "title": {**text, "description": "The kind of problem in a few words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {**text, "description": "What went wrong, with the measured value and the limit."},
            "code": {"enum": [kind.code for kind in error_types()], "description": "For programs; it never changes."},
            "request_id": {**text, "description": "The id of the request, which the logs have too."},
            "errors": {"type": "array", "items": field_error, "description": "Every invalid field."},
            "dependency": {**text, "description": "What is not available."},
            "events": {"type": "array", "items": _verdict(), "description": "One per event of a refused batch."},
        },
        optional={"errors", "dependency", "events"},
    )
    return {**schema, "additionalProperties": True}


def _verdict() -> Schema:
    """Return the schema of the verdict on one event of a refused batch."""
    text: Schema = {"type": "string"}
    verdict: dict[str, Schema] = {
        "index": {"type": "integer", "description": "The event's place in the batch, from 0."},
        "verdict": {"enum": ["sound", "refused"], "description": "Whether the event alone would have been accepted."},
        "code": {**text, "description": "The code of the error."},
        "detail": {**text, "description": "What is wrong with the event."},
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
            "specversion": {"const": "1.0", "description": "The version of CloudEvents."},
            "id": {**text, "description": "With source, identifies the event: the same again is the same job."},
            "source": {
                "type": "string",
                "minLength": 1,
                "format": "uri-reference",
                "description": "Who sends the event.",
            },
            "type": {"const": event_type, "description": "What is asked for."},
            "subject": {"anyOf": [text, _NULL], "description": "Not used."},
            "time": {
                "anyOf": [{"type": "string", "format": "date-time"}, _NULL],
                "description": "When the event was made.",
            },
            "datacontenttype": {
                "anyOf": [{"const": "application/json"}, _NULL],
                "description": "The media type of data.",
            },
            "dataschema": {"anyOf": [{"type": "string", "format": "uri"}, _NULL], "description": "Not used."},
            "data": {**data, "description": "The job."},
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


def _submission(job_type: JobType) -> Schema:
    """Return the schema of a submission in JSON, where a preset may stand in the place of the parameters."""
    picture = {**reference("JobInput"), "description": "The picture."}
    if job_type.parameters is RenditionsParameters:
        names = {"type": "string", "description": "Names of presets, separated by commas; each makes a rendition."}
        fields = {RENDITIONS: asked_renditions(), PRESET: names, "input": picture}
        return {**_object(fields, optional={RENDITIONS, PRESET}), **_one_of(RENDITIONS, PRESET)}
    parameters = {**reference(job_type.parameters.__name__), "description": "What to do."}
    by_preset = {
        PRESET: {**preset_name(), "description": PRESET_DESCRIPTION},
        "parameters": {"type": "object", "description": "What is to be otherwise than the preset says."},
        "input": picture,
    }
    return {
        "anyOf": [_object({"parameters": parameters, "input": picture}), _object(by_preset, optional={"parameters"})]
    }


def _one_of(*names: str) -> Schema:
    """Require one of the fields, or several."""
    return {"anyOf": [{"required": [name]} for name in names]}


def _form(job_type: JobType) -> Schema:
    image = {"type": "string", "format": "binary", "description": "The picture."}
    fields, model = form_properties(job_type), job_type.parameters
    form = _object({"image": image, **fields}, optional=set(fields))
    if model is RenditionsParameters:
        return {**form, **_one_of(RENDITIONS, PRESET)}
    return {**form, "anyOf": [{"required": [PRESET]}, _rules(model, model.text_rules)]}


def form_properties(job_type: JobType) -> dict[str, Schema]:
    """Return the fields that say what to do, in a form or in the query of a request whose body is the picture."""
    if job_type.parameters is RenditionsParameters:
        text = {"type": "string", "description": "The renditions by name, as the JSON text of an object."}
        names = {"type": "string", "description": "Names of presets, separated by commas; each makes a rendition."}
        return {RENDITIONS: text, PRESET: names}
    return {**text_properties(job_type.parameters), PRESET: {**preset_name(), "description": PRESET_DESCRIPTION}}


def _rules(model: type[JobParameters], own: JsonRules) -> Schema:
    rules = [*([own] if own else []), *model.encoding_rules]
    return {"allOf": rules} if rules else {}


def _event_data(job_type: JobType) -> Schema:
    """Return the schema of a job message in which a sender may omit what ingest fills in, or name a preset."""
    parameters: Schema = {**reference(job_type.parameters.__name__), "description": "What to do."}
    if job_type.parameters is RenditionsParameters:
        parameters = {**_object({RENDITIONS: asked_renditions()}), "description": "What to do."}
    message = _message_fields(job_type, parameters)
    optional = {"job_id", "type", "metadata"}
    by_preset = {**message, "parameters": {"type": "object", "description": parameters["description"]}}
    by_preset[PRESET] = {"type": "string", "description": "What stands in the place of the parameters."}
    return {"anyOf": [_object(message, optional=optional), _object(by_preset, optional={*optional, "parameters"})]}


def _message_fields(job_type: JobType, parameters: Schema) -> dict[str, Schema]:
    return {
        "parameters": parameters,
        "input": {**reference("JobInput"), "description": "The picture."},
        "job_id": {"anyOf": [_uuid(), _NULL], "description": "The job's id; absent: a new one."},
        "type": {"enum": [job_type.name, None], "description": "The kind of job, as the event's type says."},
        "metadata": {"type": ["object", "null"], "description": "Ignored; ingest fills it in."},
    }


def _signed_upload() -> Schema:
    upload = _object(
        {
            "url": {"type": "string", "format": "uri", "description": "Where to send the picture."},
            "method": {"const": "PUT", "description": "How to send it."},
            "headers": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Headers that must be sent with it.",
            },
            "expires_at": {"type": "string", "format": "date-time", "description": "Until when the URL is valid."},
        }
    )
    key = {"type": "string", "pattern": STORAGE_KEY_PATTERN, "description": "Names the picture in a submission."}
    return _object({"storage_key": key, "upload": {**upload, "description": "The signed request."}})


def _uuid() -> Schema:
    return {"type": "string", "format": "uuid"}


def _object(properties: dict[str, Schema], *, optional: set[str] | frozenset[str] = frozenset()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
