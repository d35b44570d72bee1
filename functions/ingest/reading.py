"""Reads a submission from a request: multipart, raw bytes or JSON, with the byte limit enforced while streaming.

The body is held in memory once. A chunked body, or one with a wrong Content-Length, is counted as it arrives.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from darkroom.contract.errors import (
    FieldError,
    InputTooLargeError,
    InputUnsupportedError,
    ParametersInvalidError,
    RequestTimeoutError,
)
from darkroom.contract.job_types import JobType
from darkroom.contract.jobs import JobInput
from darkroom.contract.listing import IDEMPOTENCY_KEY_PATTERN
from darkroom.contract.parameters.parsing import field_errors
from darkroom.events import strict_json
from functions.ingest.multipart import MAX_FIELDS, MultipartForm
from functions.ingest.submission import Submission, idempotency_digest

MAX_JSON_BYTES = 64 * 1024
BODY_SILENCE_S = 20.0
"""How long a sender may pause in the middle of a body."""
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)
_MULTIPART_OVERHEAD_BYTES = 256 * 1024
"""Allowance for boundaries, headers and parameter fields, on top of the picture."""


class _JsonSubmission(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Any]
    input: JobInput


async def read_submission(request: Request, job_type: JobType, *, max_bytes: int) -> Submission:
    """Read the submission. Raises RejectedError: parameters.invalid, input.too_large or input.unsupported."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_raw = media_type.startswith("image/") or media_type == "application/octet-stream"
    if not is_raw and media_type not in {"multipart/form-data", "application/json"}:
        raise InputUnsupportedError(
            "Content-Type must be image/* or application/octet-stream for a body that is the picture, "
            f"multipart/form-data or application/json, was {media_type[:100] or 'absent'}"
        )
    if is_raw:
        submission = await _from_raw(request, job_type, max_bytes)
    elif media_type == "application/json":
        _refuse_query(request)
        submission = await _from_json(request, job_type)
    else:
        _refuse_query(request)
        submission = await _from_multipart(request, job_type, max_bytes)
    return _with_idempotency_key(submission, request)


async def read_body(request: Request, *, max_bytes: int, what: str) -> bytes:
    """Read the whole body. Raises InputTooLargeError as soon as it is known to exceed the limit."""
    _refuse_declared_length(request, max_bytes, what)
    chunks, read_bytes = [], 0
    async for chunk in _chunks(request):
        chunks.append(chunk)
        read_bytes += len(chunk)
        if read_bytes > max_bytes:
            raise InputTooLargeError(f"{what} has more than {max_bytes} bytes, the limit ({read_bytes} were read)")
    return b"".join(chunks)


async def _from_raw(request: Request, job_type: JobType, max_bytes: int) -> Submission:
    fields = _unique_fields(request.query_params.multi_items())
    parameters = job_type.parse(fields, text=True)
    body = await read_body(request, max_bytes=max_bytes, what="the picture")
    return Submission(type=job_type, parameters=parameters, body=body)


async def _from_json(request: Request, job_type: JobType) -> Submission:
    body = await read_body(request, max_bytes=MAX_JSON_BYTES, what="the JSON document")
    try:
        document = _JsonSubmission.model_validate(strict_json.load(body))
    except ValidationError as exc:
        raise ParametersInvalidError(field_errors(exc)) from exc
    except ValueError as exc:
        raise ParametersInvalidError([FieldError(field="body", message=str(exc))]) from exc
    return Submission(
        type=job_type,
        parameters=job_type.parse(document.parameters),
        storage_key=document.input.storage_key,
    )


async def _from_multipart(request: Request, job_type: JobType, max_bytes: int) -> Submission:
    most_bytes = max_bytes + _MULTIPART_OVERHEAD_BYTES
    _refuse_declared_length(request, most_bytes, "the form")
    form = MultipartForm(request.headers["content-type"], max_image_bytes=max_bytes)
    read_bytes = 0
    async for chunk in _chunks(request):
        read_bytes += len(chunk)
        if read_bytes > most_bytes:
            raise InputTooLargeError(f"the form has more than {most_bytes} bytes, the limit ({read_bytes} were read)")
        form.feed(chunk)
    fields, image = form.finish()
    return Submission(type=job_type, parameters=job_type.parse(_unique_fields(fields), text=True), body=image)


def _with_idempotency_key(submission: Submission, request: Request) -> Submission:
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        message = f"given {len(keys)} times; a request has one"
        raise ParametersInvalidError([FieldError(field="Idempotency-Key", message=message)])
    if not keys:
        return submission
    [key] = keys
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        limit = "1 to 255 printable characters of ASCII"
        raise ParametersInvalidError(
            [FieldError(field="Idempotency-Key", message=f"must have {limit}, had {len(key)}")]
        )
    return Submission(
        type=submission.type,
        parameters=submission.parameters,
        body=submission.body,
        storage_key=submission.storage_key,
        idempotency_key=idempotency_digest("http", key),
    )


def _refuse_query(request: Request) -> None:
    """Refuse a query that would be ignored: the sender meant something by it."""
    names = [name for name, _ in request.query_params.multi_items()]
    if names:
        message = "goes in the query only with a body that is the picture itself"
        raise ParametersInvalidError([FieldError(field=name[:80], message=message) for name in names[:MAX_FIELDS]])


def _refuse_declared_length(request: Request, max_bytes: int, what: str) -> None:
    """Refuse a body whose declared length is over the limit, which spares both sides the transfer."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise InputTooLargeError(f"{what} has {int(declared)} bytes, the limit is {max_bytes}")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the chunks. Raises RequestTimeoutError when nothing arrives for a while: a stalled sender holds a
    connection and memory.
    """
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(BODY_SILENCE_S):
                chunk = await anext(chunks, None)
        except TimeoutError as exc:
            raise RequestTimeoutError(f"no byte of the body came for {BODY_SILENCE_S:g} s, the limit") from exc
        if chunk is None:
            return
        if chunk:
            yield chunk


def _unique_fields(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if len(pairs) > MAX_FIELDS:
        message = f"there are {len(pairs)} of them, the limit is {MAX_FIELDS}"
        raise ParametersInvalidError([FieldError(field="parameters", message=message)])
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ParametersInvalidError([FieldError(field=name[:80], message="given more than once") for name in repeated])
    return fields
