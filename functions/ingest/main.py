"""ingest: takes pictures and CloudEvents in, and answers as soon as the job is safe."""

from functools import cache, partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom import telemetry
from darkroom.contract.job_types import JOB_TYPES, JobType
from darkroom.contract.jobs import JobRecord
from darkroom.contract.openapi import openapi
from darkroom.events import cloudevents, strict_json
from darkroom.serving.asgi import http_function, in_thread, json_response, owner, request_id
from darkroom.serving.gate import make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.startup import start
from functions.ingest.acceptance import Acceptance
from functions.ingest.event_submissions import MAX_EVENT_BYTES, judged_batch, submission_of
from functions.ingest.judging import Judged
from functions.ingest.reading import read_body, read_submission
from functions.ingest.submission import Submission
from functions.ingest.uploads import check_upload, signed_upload

resources = start(needs=frozenset({"REDIS_URL", "BUCKET_NAME", "K_SINK"}))
acceptance = Acceptance(resources)
gate = make_gate(resources, rate=resources.settings.rate_limit, scope="ingest")


def accepts(job_type: JobType) -> Any:
    async def endpoint(request: Request) -> Response:
        with telemetry.span("receive"):
            submission = await read_submission(request, job_type, max_bytes=resources.settings.max_input_bytes)
        record = await _accept(request, submission)
        return json_response(_accepted(record), status=202, headers={"location": _location(record)})

    return endpoint


async def take_events(request: Request) -> Response:
    with telemetry.span("receive"):
        body = await read_body(request, max_bytes=MAX_EVENT_BYTES, what="the event")
    if cloudevents.is_batch(request.headers):
        judged = await judged_batch(body, partial(_check, request))
        records = await in_thread(acceptance.accept_batch, judged, owner=owner(request), request_id=request_id(request))
        return json_response({"jobs": [_accepted(record) for record in records]}, status=202)
    record = await _accept(request, submission_of(cloudevents.parse_one(dict(request.headers), body)))
    return json_response(_accepted(record), status=202, headers={"location": _location(record)})


async def sign_upload(request: Request) -> Response:
    return json_response(await in_thread(signed_upload, resources, owner(request)), status=201)


async def describe(_request: Request) -> Response:
    return Response(_description(), media_type="application/json")


@cache
def _description() -> bytes:
    """Made once: it is for everybody, and costs as much as a small picture."""
    return strict_json.dump(openapi())


async def _check(request: Request, submission: Submission) -> Judged:
    check_upload(submission, owner(request))
    return await in_thread(acceptance.check, submission)


async def _accept(request: Request, submission: Submission) -> JobRecord:
    check_upload(submission, owner(request))
    return await in_thread(acceptance.accept, submission, owner=owner(request), request_id=request_id(request))


def _accepted(record: JobRecord) -> dict[str, str]:
    return {"job_id": str(record.job_id), "status": "queued"}


def _location(record: JobRecord) -> str:
    return f"/api/v1/jobs/{record.job_id}"


ingest = http_function(
    "ingest",
    [
        *(Route(job_type.path, accepts(job_type), methods=["POST"]) for job_type in JOB_TYPES),
        Route("/api/v1/uploads", sign_upload, methods=["POST"]),
        Route("/api/v1/events", take_events, methods=["POST"]),
        Route("/", take_events, methods=["POST"]),
    ],
    open_routes=[
        Route("/openapi.json", describe, methods=["GET"]),
        *health_routes({"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()}),
    ],
    gate=gate,
)
