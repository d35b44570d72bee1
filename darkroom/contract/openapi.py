"""The HTTP API as OpenAPI 3.1, made from the types that judge requests and the errors that answer them."""

from __future__ import annotations

from typing import Any

from darkroom import __version__
from darkroom.contract import errors
from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_types import EVENT_TYPES, JOB_TYPES, JobType
from darkroom.contract.listing import DEFAULT_LIMIT, IDEMPOTENCY_KEY_PATTERN, MAX_LIMIT, MAX_STREAM_S, MAX_WAIT_S
from darkroom.contract.schemas import Schema, components, reference, text_properties
from darkroom.events.cloudevents import BATCHED, STRUCTURED

PROBLEM = "application/problem+json"
IMAGES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "application/octet-stream")

_HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-Id": ("The caller's, if it was a sound one, else a new one.", {"type": "string"}),
    "RateLimit": ("What is left of the rate, draft-ietf-httpapi-ratelimit-headers-10.", {"type": "string"}),
    "RateLimit-Policy": ("The rate, in the same draft's form.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before another try.", {"type": "integer", "minimum": 1}),
    "Location": ("The job.", {"type": "string", "format": "uri-reference"}),
    "WWW-Authenticate": ("Bearer.", {"type": "string"}),
}
_ALWAYS: tuple[type[DarkroomError], ...] = (errors.InternalError, errors.DependencyUnavailableError)
_GATE: tuple[type[DarkroomError], ...] = (
    errors.AuthMissingError,
    errors.AuthInvalidError,
    errors.RateLimitedError,
    *_ALWAYS,
)
_PICTURE: tuple[type[DarkroomError], ...] = (
    errors.RequestTimeoutError,
    errors.InputTooLargeError,
    errors.InputUnsupportedError,
    errors.InputNotFoundError,
    errors.ImageTooManyPixelsError,
    errors.ImageCorruptError,
    errors.ImageTruncatedError,
    errors.ImageTooManyFramesError,
    errors.CropOutOfBoundsError,
    errors.IdempotencyMismatchError,
)


def openapi() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Darkroom",
            "version": __version__,
            "summary": "Post a picture; functions that scale from zero do the job.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": "pictures"}, {"name": "events"}, {"name": "jobs"}, {"name": "health"}],
        "paths": _paths(),
        "components": {
            "schemas": components(),
            "headers": {name: {"description": said, "schema": schema} for name, (said, schema) in _HEADERS.items()},
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `darkroom keys create` made. Not asked for where keys are off.",
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        **{job_type.path: {"post": _picture_operation(job_type)} for job_type in JOB_TYPES},
        "/api/v1/uploads": {"post": _sign_upload()},
        "/api/v1/events": {"post": _take_events("sendEvents")},
        "/": {"post": _take_events("sendEventsToRoot")},
        "/api/v1/jobs": {"get": _list_jobs()},
        "/api/v1/jobs/{job_id}": {"get": _show_job()},
        "/api/v1/jobs/{job_id}/events": {"get": _tell_changes()},
        "/health/live": {"get": _live()},
        "/health/ready": {"get": _ready()},
        "/openapi.json": {"get": _description()},
    }


def _picture_operation(job_type: JobType) -> Schema:
    raw = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in IMAGES}
    return {
        "operationId": job_type.name,
        "tags": ["pictures"],
        "summary": job_type.summary,
        "description": (
            "Hand the picture over as the part `image` of a form, as the body itself with the parameters in the query, "
            "or by its storage key in JSON. Parameters in the query go with a body that is the picture, and no other."
        ),
        "parameters": [
            *(_in_query(field, schema) for field, schema in text_properties(job_type.parameters).items()),
            _idempotency_key(),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": reference(f"{job_type.schema_name}Form")},
                "application/json": {"schema": reference(f"{job_type.schema_name}Submission")},
                **raw,
            },
        },
        "responses": {
            "202": _accepted("The job is safe; it will end as completed or failed.", reference("Accepted")),
            **_problems(errors.ParametersInvalidError, *_PICTURE, *_GATE),
        },
    }


def _sign_upload() -> Schema:
    return {
        "operationId": "signUpload",
        "tags": ["pictures"],
        "summary": "Ask for a signed upload straight to storage",
        "responses": {
            "201": _answer("Send the picture there, then name its storage key.", reference("SignedUpload")),
            **_problems(*_GATE),
        },
    }


def _take_events(operation: str) -> Schema:
    return {
        "operationId": operation,
        "tags": ["events"],
        "summary": "Ask for jobs by CloudEvents",
        "description": (
            "CloudEvents 1.0 over HTTP, in structured or batched mode as below, or in binary mode: the data as JSON, "
            "the attributes in `ce-` headers. A batch is taken as a whole or not at all. The same event (source and "
            "id) again is answered with the first job."
        ),
        "parameters": [
            _in_header("ce-specversion", "Binary mode only.", {"const": "1.0"}),
            _in_header("ce-id", "Binary mode only.", {"type": "string", "minLength": 1}),
            _in_header("ce-source", "Binary mode only.", {"type": "string", "format": "uri-reference"}),
            _in_header(
                "ce-type",
                "Binary mode only.",
                {"enum": list(EVENT_TYPES)},
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": reference("CloudEvent")},
                BATCHED: {"schema": reference("CloudEventBatch")},
                "application/json": {"schema": reference("EventData")},
            },
        },
        "responses": {
            "202": _accepted(
                "The job is safe, or every job of the batch.",
                {"anyOf": [reference("Accepted"), reference("AcceptedBatch")]},
            ),
            **_problems(errors.EventInvalidError, errors.ParametersInvalidError, *_PICTURE, *_GATE),
        },
    }


def _list_jobs() -> Schema:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return {
        "operationId": "listJobs",
        "tags": ["jobs"],
        "summary": "The caller's jobs, newest first",
        "description": "Without signed URLs. A page may be short of its limit, yet only the last has no next_cursor.",
        "parameters": [
            _in_query("status", reference("JobStatus")),
            _in_query("type", reference("JobType")),
            _in_query("limit", limit),
            _in_query("cursor", {"type": "string", "description": "next_cursor of the page before."}),
        ],
        "responses": {
            "200": _answer("A page.", reference("JobPage")),
            **_problems(errors.ParametersInvalidError, *_GATE),
        },
    }


def _show_job() -> Schema:
    wait = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0}
    return {
        "operationId": "showJob",
        "tags": ["jobs"],
        "summary": "A job, at once or as soon as it has ended",
        "parameters": [_job_id(), _in_query("wait", {**wait, "description": "Seconds."})],
        "responses": {
            "200": _answer("The job; a completed one with a signed URL for its result.", reference("Job")),
            **_problems(errors.ParametersInvalidError, errors.JobNotFoundError, *_GATE),
        },
    }


def _tell_changes() -> Schema:
    said = (
        "Server-sent events: `event` is the job's status, `data` the job as JSON. The stream ends when the job is "
        f"final, or after {MAX_STREAM_S:g} s; clients then come again."
    )
    text = {"type": "string"}
    fields = {"event": reference("JobStatus"), "data": text, "id": text, "retry": {"type": "integer"}}
    content = {"text/event-stream": {"schema": {"type": "object", "properties": fields}}}
    return {
        "operationId": "followJob",
        "tags": ["jobs"],
        "summary": "A job's changes as they happen",
        "parameters": [_job_id()],
        "responses": {
            "200": {"description": said, "headers": _headers("X-Request-Id"), "content": content},
            **_problems(errors.JobNotFoundError, *_GATE),
        },
    }


def _live() -> Schema:
    return {
        "operationId": "isLive",
        "tags": ["health"],
        "summary": "Whether the process answers",
        "security": [],
        "responses": {"200": _answer("It does.", reference("Health"))},
    }


def _ready() -> Schema:
    return {
        "operationId": "isReady",
        "tags": ["health"],
        "summary": "Whether all that the function depends on answers",
        "security": [],
        "responses": {
            "200": _answer("It does.", reference("Health")),
            **_problems(errors.DependencyUnavailableError),
        },
    }


def _description() -> Schema:
    return {
        "operationId": "describe",
        "tags": ["health"],
        "summary": "This document",
        "security": [],
        "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object"})},
    }


def _accepted(description: str, schema: Schema) -> Schema:
    return _answer(description, schema, "Location")


def _answer(description: str, schema: Schema, *headers: str) -> Schema:
    return {
        "description": description,
        "headers": _headers("X-Request-Id", "RateLimit", "RateLimit-Policy", *headers),
        "content": {"application/json": {"schema": schema}},
    }


def _problems(*kinds: type[DarkroomError]) -> dict[str, Schema]:
    """One response for each status, with the codes that it may have."""
    by_status: dict[int, list[type[DarkroomError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _problem(found) for status, found in by_status.items()}


def _problem(kinds: list[type[DarkroomError]]) -> Schema:
    headers = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    if kinds[0].status in {429, 503}:
        headers.append("Retry-After")
    if kinds[0].status == 401:
        headers.append("WWW-Authenticate")
    codes: Schema = {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
        "headers": _headers(*headers),
        "content": {PROBLEM: {"schema": {"allOf": [reference("Problem"), codes]}}},
    }


def _headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _in_query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _in_header(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _job_id() -> Schema:
    return {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


def _idempotency_key() -> Schema:
    said = "The same key with the same request is answered with the first job; with another request, 422."
    return _in_header("Idempotency-Key", said, {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN})
