"""Reads a submission from a request: multipart, raw bytes or JSON, with the byte limit enforced while streaming.

A picture goes through an `intake` piece by piece; other bodies are small and read as a whole. A chunked body, or one
with a wrong Content-Length, is counted as it arrives.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from darkroom.adapters.jobs.admission import JobName
from darkroom.connections import ConnectionLimits, allowed_body_s, too_slow
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
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.contract.requests import PRESET, RENDITIONS, RequestRules, Resolved
from darkroom.events import strict_json
from functions.ingest.in_flight import Holding
from functions.ingest.intake import PictureIntake
from functions.ingest.multipart import MAX_FIELDS, MultipartForm
from functions.ingest.submission import Submission, idempotency_digest

MAX_JSON_BYTES = 64 * 1024
BODY_SILENCE_S = 20.0
"""How long a sender may pause in the middle of a body."""
BODY_LIMITS = ConnectionLimits(max_open=0, body_grace_s=30.0, min_bytes_per_s=16 * 1024, max_body_s=280.0)
"""How long a whole body may take. Less than its Service's timeoutSeconds."""
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)
_MULTIPART_OVERHEAD_BYTES = 256 * 1024
"""Allowance for boundaries, headers and parameter fields, on top of the picture."""


class _JsonSubmission(BaseModel):
    """`preset` may stand in the place of the parameters, and beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Any] | None = None
    preset: str | None = None
    input: JobInput

    def fields(self) -> dict[str, Any]:
        """Return the parameters. Raises ParametersInvalidError if nothing says what to do."""
        if self.parameters is None and self.preset is None:
            raise _missing("parameters")
        return self.parameters or {}


class _JsonRenditions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    renditions: dict[str, Any] | None = None
    preset: str | None = None
    input: JobInput

    def fields(self) -> dict[str, Any]:
        """Return the renditions, as a field. Raises ParametersInvalidError if there are none."""
        if self.renditions is None and self.preset is None:
            raise _missing(RENDITIONS)
        return {} if self.renditions is None else {RENDITIONS: self.renditions}


def _missing(field: str) -> ParametersInvalidError:
    return ParametersInvalidError([FieldError(field=field, message="Field required, or a preset")])


def _document_of(job_type: JobType) -> type[_JsonSubmission | _JsonRenditions]:
    return _JsonRenditions if job_type.parameters is RenditionsParameters else _JsonSubmission


async def read_submission(
    request: Request,
    job_type: JobType,
    rules: RequestRules,
    intake: PictureIntake,
    holding: Holding,
    *,
    max_bytes: int,
) -> Submission:
    """Read the submission. Raises RejectedError: parameters.invalid, preset.unknown, preset.required,
    input.too_large or input.unsupported; and what the intake raises.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_raw = media_type.startswith("image/") or media_type == "application/octet-stream"
    if not is_raw and media_type not in {"multipart/form-data", "application/json"}:
        raise InputUnsupportedError(
            "Content-Type must be image/* or application/octet-stream for a body that is the picture, "
            f"multipart/form-data or application/json, was {media_type[:100] or 'absent'}"
        )
    if is_raw:
        submission = await _from_raw(request, job_type, rules, intake, max_bytes)
    elif media_type == "application/json":
        _refuse_query(request)
        submission = await _from_json(request, job_type, rules, holding)
    else:
        _refuse_query(request)
        submission = await _from_multipart(request, job_type, rules, intake, max_bytes)
    return _with_idempotency_key(submission, request)


def requested_name(request: Request) -> JobName:
    """Return by what a repetition of the request finds its job, as the headers say it before the body is read."""
    keys = request.headers.getlist("idempotency-key")
    return JobName(idempotency_key=idempotency_digest("http", keys[0]) if len(keys) == 1 else None)


async def read_body(request: Request, holding: Holding, *, max_bytes: int, what: str) -> bytes:
    """Read the whole body. Raises InputTooLargeError as soon as it is known to exceed the limit."""
    chunks = []
    async for chunk in _bounded_chunks(request, max_bytes, what):
        holding.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


async def _from_raw(
    request: Request, job_type: JobType, rules: RequestRules, intake: PictureIntake, max_bytes: int
) -> Submission:
    asked = _asked(job_type, rules, request.query_params.multi_items())
    async for chunk in _bounded_chunks(request, max_bytes, "the picture"):
        intake.hold(chunk)
        await intake.pass_on()
    return await _with_picture(Submission(type=job_type, asked=asked), intake)


async def _from_json(request: Request, job_type: JobType, rules: RequestRules, holding: Holding) -> Submission:
    body = await read_body(request, holding, max_bytes=MAX_JSON_BYTES, what="the JSON document")
    try:
        document = _document_of(job_type).model_validate(strict_json.load(body))
    except ValidationError as exc:
        raise ParametersInvalidError(field_errors(exc)) from exc
    except ValueError as exc:
        raise ParametersInvalidError([FieldError(field="body", message=str(exc))]) from exc
    return Submission(
        type=job_type,
        asked=rules.resolve(job_type, document.fields(), preset=document.preset),
        storage_key=document.input.storage_key,
    )


async def _from_multipart(
    request: Request, job_type: JobType, rules: RequestRules, intake: PictureIntake, max_bytes: int
) -> Submission:
    most_bytes = max_bytes + _MULTIPART_OVERHEAD_BYTES
    _refuse_declared_length(request, most_bytes, "the form")
    form = MultipartForm(request.headers["content-type"], max_image_bytes=max_bytes)
    async for chunk in _bounded_chunks(request, most_bytes, "the form"):
        form.feed(chunk)
        for piece in form.take_image():
            intake.hold(piece)
        await intake.pass_on()
    asked = _asked(job_type, rules, form.finish())
    return await _with_picture(Submission(type=job_type, asked=asked), intake)


def _asked(job_type: JobType, rules: RequestRules, pairs: list[tuple[str, str]]) -> Resolved:
    """Resolve the fields of a form or a query."""
    fields = _unique_fields(pairs)
    preset = fields.pop(PRESET, None)
    return rules.resolve(job_type, fields, preset=preset, text=True)


async def _with_picture(submission: Submission, intake: PictureIntake) -> Submission:
    picture = await intake.finish()
    if isinstance(picture, bytes):
        return replace(submission, body=picture)
    return replace(submission, streamed=picture)


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
    return replace(submission, idempotency_key=idempotency_digest("http", key))


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


async def _bounded_chunks(request: Request, max_bytes: int, what: str) -> AsyncIterator[bytes]:
    """Yield the body's chunks. Raises InputTooLargeError as soon as the body is known to exceed the limit."""
    _refuse_declared_length(request, max_bytes, what)
    read_bytes = 0
    async for chunk in _chunks(request):
        read_bytes += len(chunk)
        if read_bytes > max_bytes:
            raise InputTooLargeError(f"{what} has more than {max_bytes} bytes, the limit ({read_bytes} were read)")
        yield chunk


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the chunks. Raises RequestTimeoutError when nothing arrives for a while, or too little in all: such a
    sender holds a connection and memory. Only the time counts in which we wait for it.
    """
    chunks = aiter(request.stream())
    read_bytes, waited_s = 0, 0.0
    while True:
        left_s = allowed_body_s(BODY_LIMITS, read_bytes) - waited_s
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(BODY_SILENCE_S, left_s)):
                chunk = await anext(chunks, None)
        except TimeoutError as exc:
            if left_s > BODY_SILENCE_S:
                raise RequestTimeoutError(f"no byte of the body came for {BODY_SILENCE_S:g} s, the limit") from exc
            raise RequestTimeoutError(too_slow(read_bytes, allowed_body_s(BODY_LIMITS, read_bytes))) from exc
        waited_s += time.monotonic() - began
        if chunk is None:
            return
        read_bytes += len(chunk)
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
