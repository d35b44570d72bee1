"""The HTTP API as OpenAPI 3.1, generated from the types that validate requests and from the error types."""

from __future__ import annotations

from typing import Any

from darkroom import __version__
from darkroom.contract import errors
from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_types import EVENT_TYPES, JOB_TYPES, JobType
from darkroom.contract.listing import DEFAULT_LIMIT, MAX_LIMIT, MAX_STREAM_S, MAX_WAIT_S
from darkroom.contract.openapi_parts import (
    accepted,
    header_components,
    idempotency_key,
    in_header,
    in_query,
    job_id,
    priority,
    problem_responses,
    response,
    response_headers,
)
from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN
from darkroom.contract.schemas import Schema, components, form_properties, reference, shown_job
from darkroom.contract.unreadable import STATUS
from darkroom.events.cloudevents import BATCHED, STRUCTURED

IMAGES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "application/octet-stream")

_ALWAYS: tuple[type[DarkroomError], ...] = (
    errors.InternalError,
    errors.DependencyUnavailableError,
    errors.InstanceBrokenError,
    errors.RevisionFailingError,
    errors.RevisionOverloadedError,
    errors.RevisionTimeoutError,
    errors.RouteTimeoutError,
)
_GATE: tuple[type[DarkroomError], ...] = (
    errors.HostRefusedError,
    errors.OriginRefusedError,
    errors.AuthMissingError,
    errors.AuthInvalidError,
    errors.RateLimitedError,
    errors.RequestMalformedError,
    errors.ServerBusyError,
    *_ALWAYS,
)
_UNREADABLE: tuple[type[DarkroomError], ...] = (
    errors.InputTooLargeError,
    errors.InputUnsupportedError,
    errors.InputNotFoundError,
    errors.ImageTooManyPixelsError,
    errors.ImageCorruptError,
    errors.ImageTruncatedError,
    errors.ImageTooManyFramesError,
    errors.ImageTooManyScansError,
)
_ASKED: tuple[type[DarkroomError], ...] = (
    errors.ParametersInvalidError,
    errors.PresetUnknownError,
    errors.PresetRequiredError,
)
_ROOM: tuple[type[DarkroomError], ...] = (errors.QuotaExceededError, errors.BacklogFullError)
_PICTURE: tuple[type[DarkroomError], ...] = (
    errors.RequestTimeoutError,
    *_UNREADABLE,
    errors.CropOutOfBoundsError,
    errors.IdempotencyMismatchError,
    *_ROOM,
)
_EVENT_BODIES = {STRUCTURED: "CloudEvent", BATCHED: "CloudEventBatch", "application/json": "EventData"}
"""The schema of each media type in which events arrive; JSON alone is the data of binary mode."""


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
        "tags": [{"name": "pictures"}, {"name": "events"}, {"name": "jobs"}, {"name": "files"}, {"name": "health"}],
        "paths": _paths(),
        "components": {
            "schemas": components(),
            "headers": header_components(),
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `darkroom keys create` made. Not required where keys are off.",
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        **{job_type.path: {"post": _picture_operation(job_type)} for job_type in JOB_TYPES},
        "/api/v1/uploads": {"post": _sign_upload()},
        "/api/v1/facts": {"get": _show_facts()},
        "/api/v1/presets": {"get": _list_presets()},
        "/api/v1/events": {"post": _take_events("sendEvents")},
        "/": {"post": _take_events("sendEventsToRoot")},
        "/api/v1/jobs": {"get": _list_jobs()},
        "/api/v1/jobs/{job_id}": {"get": _show_job(), "delete": _erase_job()},
        "/api/v1/jobs/{job_id}/cancel": {"post": _cancel_job()},
        "/api/v1/jobs/{job_id}/events": {"get": _follow_job()},
        "/api/v1/files/{key}": {"get": _download_file(), "put": _upload_file()},
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
            "Send the picture as the part `image` of a form, as the body itself with the parameters in the query, or "
            "by its storage key in JSON. Parameters in the query are accepted only where the body is the picture."
        ),
        "parameters": [
            *(in_query(field, schema) for field, schema in form_properties(job_type).items()),
            idempotency_key(),
            *([priority()] if job_type.in_background else []),
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
            "202": accepted("The job is safe; it will end as completed or failed.", reference("Accepted")),
            **problem_responses(*_ASKED, *_PICTURE, *_GATE),
        },
    }


def _sign_upload() -> Schema:
    return {
        "operationId": "signUpload",
        "tags": ["pictures"],
        "summary": "Request a signed URL for an upload straight to storage",
        "description": (
            "Send the picture with all of the returned headers, once: storage refuses to replace it (412). With its "
            "size in `bytes`, storage refuses a picture of any other size too."
        ),
        "requestBody": {"required": False, "content": {"application/json": {"schema": reference("UploadRequest")}}},
        "responses": {
            "201": response("Upload the picture there, then submit its storage key.", reference("SignedUpload")),
            **problem_responses(
                errors.ParametersInvalidError, errors.RequestTimeoutError, errors.InputTooLargeError, *_ROOM, *_GATE
            ),
        },
    }


def _show_facts() -> Schema:
    key = {
        "type": "string",
        "maxLength": 512,
        "pattern": STORAGE_KEY_PATTERN,
        "description": "An upload of the caller.",
    }
    return {
        "operationId": "showFacts",
        "tags": ["pictures"],
        "summary": "What the header of a stored picture says, without a job",
        "parameters": [{**in_query("storage_key", key), "required": True}],
        "responses": {
            "200": response("The picture is one that jobs may use.", reference("PictureFacts")),
            **problem_responses(errors.ParametersInvalidError, *_UNREADABLE, *_GATE),
        },
    }


def _list_presets() -> Schema:
    return {
        "operationId": "listPresets",
        "tags": ["pictures"],
        "summary": "The presets that may be named in the place of parameters",
        "responses": {
            "200": response("By name, as they are now.", reference("PresetList")),
            **problem_responses(*_GATE),
        },
    }


def _take_events(operation: str) -> Schema:
    return {
        "operationId": operation,
        "tags": ["events"],
        "summary": "Request jobs by CloudEvents",
        "description": (
            "CloudEvents 1.0 over HTTP, in structured or batched mode as below, or in binary mode: the data as JSON, "
            "the attributes in `ce-` headers. A batch is accepted as a whole or not at all. Sending the same event "
            "(source and id) again returns the first job."
        ),
        "parameters": [in_header(name, "Binary mode only.", schema) for name, schema in _binary_headers().items()],
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": reference(name)} for media_type, name in _EVENT_BODIES.items()},
        },
        "responses": {
            "202": accepted(
                "The job is safe, or every job of the batch.",
                {"anyOf": [reference("Accepted"), reference("AcceptedBatch")]},
            ),
            **problem_responses(errors.EventInvalidError, *_ASKED, *_PICTURE, *_GATE),
        },
    }


def _binary_headers() -> dict[str, Schema]:
    return {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "minLength": 1},
        "ce-source": {"type": "string", "format": "uri-reference"},
        "ce-type": {"enum": list(EVENT_TYPES)},
    }


def _list_jobs() -> Schema:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return {
        "operationId": "listJobs",
        "tags": ["jobs"],
        "summary": "The caller's jobs, newest first",
        "description": (
            "Without signed URLs. A page may have fewer jobs than its limit; only the last page has no next_cursor."
        ),
        "parameters": [
            in_query("status", {**reference("JobStatus"), "description": "Only jobs in this status."}),
            in_query("type", {**reference("JobType"), "description": "Only jobs of this kind."}),
            in_query("limit", {**limit, "description": "The most jobs on a page."}),
            in_query("cursor", {"type": "string", "description": "next_cursor of the previous page."}),
        ],
        "responses": {
            "200": response("A page.", reference("JobPage")),
            **problem_responses(errors.ParametersInvalidError, *_GATE),
        },
    }


def _show_job() -> Schema:
    wait = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0}
    return {
        "operationId": "showJob",
        "tags": ["jobs"],
        "summary": "A job, at once or as soon as it has ended",
        "parameters": [
            job_id(),
            in_query("wait", {**wait, "description": "Seconds."}),
            in_query("view", {"enum": ["srcset"], "description": "srcset: the attributes of an `<img>` instead."}),
        ],
        "responses": {
            "200": response(
                "The job, with signed URLs for what was made; or the attributes of an `<img>`.",
                {"anyOf": [*shown_job()["anyOf"], reference("SrcSet")]},
            ),
            **problem_responses(errors.ParametersInvalidError, errors.JobNotFoundError, *_GATE),
        },
    }


def _cancel_job() -> Schema:
    return {
        "operationId": "cancelJob",
        "tags": ["jobs"],
        "summary": "Cancel a job that has not ended",
        "description": "Whether it waits or is rendered; no result is kept. It cannot be redriven.",
        "parameters": [job_id()],
        "responses": {
            "200": response("The job, which has failed with `job.cancelled`.", shown_job()),
            **problem_responses(errors.JobNotFoundError, errors.JobFinalError, *_GATE),
        },
    }


def _erase_job() -> Schema:
    return {
        "operationId": "eraseJob",
        "tags": ["jobs"],
        "summary": "Erase a job and its pictures",
        "description": (
            "The job is cancelled if it has not ended, and unknown from now on. Within a minute its results and its "
            "dead letters are erased, and its original unless another job uses it. Repeating the request within a day "
            "is answered alike."
        ),
        "parameters": [job_id()],
        "responses": {
            "204": {"description": "The erasure is recorded.", "headers": response_headers("X-Request-Id")},
            **problem_responses(errors.JobNotFoundError, *_GATE),
        },
    }


def _follow_job() -> Schema:
    description = (
        "Server-sent events: `event` is the job's status, `data` the job as JSON. The stream ends when the job is "
        f"final or unreadable, or after {MAX_STREAM_S:g} s; clients then reconnect."
    )
    text = {"type": "string"}
    fields = {
        "event": {"anyOf": [reference("JobStatus"), {"const": STATUS}]},
        "data": text,
        "id": text,
        "retry": {"type": "integer"},
    }
    content = {"text/event-stream": {"schema": {"type": "object", "properties": fields}}}
    return {
        "operationId": "followJob",
        "tags": ["jobs"],
        "summary": "A job's changes as they happen",
        "parameters": [job_id()],
        "responses": {
            "200": {"description": description, "headers": response_headers("X-Request-Id"), "content": content},
            **problem_responses(errors.JobNotFoundError, *_GATE),
        },
    }


_FILES = "Only where the functions' own files are the storage (`STORAGE_TYPE=local`), by a URL that was signed."


def _download_file() -> Schema:
    content = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": "downloadFile",
        "tags": ["files"],
        "summary": "Download a result",
        "description": _FILES,
        "security": [],
        "parameters": _file_parameters(),
        "responses": {
            "200": {"description": "The picture.", "headers": response_headers("X-Request-Id"), "content": content},
            **problem_responses(
                errors.SignatureInvalidError, errors.InputNotFoundError, errors.RouteNotFoundError, *_ALWAYS
            ),
        },
    }


def _upload_file() -> Schema:
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": "uploadFile",
        "tags": ["files"],
        "summary": "Upload a picture",
        "description": f"{_FILES} Send all of the headers that came with the URL.",
        "security": [],
        "parameters": _file_parameters(),
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The picture is stored.", "headers": response_headers("X-Request-Id")},
            **problem_responses(
                errors.SignatureInvalidError,
                errors.RouteNotFoundError,
                errors.RequestTimeoutError,
                errors.InputExistsError,
                errors.InputTooLargeError,
                *_ALWAYS,
            ),
        },
    }


def _file_parameters() -> list[Schema]:
    text: Schema = {"type": "string"}
    key = {"name": "key", "in": "path", "required": True, "schema": text, "description": "It may contain slashes."}
    described = {
        "expires": "Until when the URL is valid, in seconds since 1970.",
        "content_type": "The type that a download is answered with, or that an upload must bear.",
        "filename": "The name under which a browser saves the download.",
        "bytes": "How many bytes an upload has, where the URL is bound to their number.",
        "signature": "Covers the method, the key and all other parameters. No part of the URL may be changed.",
    }
    return [key, *({**in_query(name, text), "description": words} for name, words in described.items())]


def _live() -> Schema:
    return {
        "operationId": "isLive",
        "tags": ["health"],
        "summary": "Whether the process answers",
        "security": [],
        "responses": {"200": response("It does.", reference("Health"))},
    }


def _ready() -> Schema:
    return {
        "operationId": "isReady",
        "tags": ["health"],
        "summary": "Whether everything that the function depends on answers",
        "security": [],
        "responses": {
            "200": response("It does.", reference("Health")),
            **problem_responses(errors.DependencyUnavailableError),
        },
    }


def _description() -> Schema:
    return {
        "operationId": "describe",
        "tags": ["health"],
        "summary": "This document",
        "security": [],
        "responses": {"200": response("OpenAPI 3.1.", {"type": "object"})},
    }
