"""ingest: accepts pictures and CloudEvents, and answers as soon as the job is safe."""

from functools import cache, partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom import telemetry
from darkroom.contract.job_types import JOB_TYPES, JobType
from darkroom.contract.jobs import JobRecord
from darkroom.contract.openapi import openapi
from darkroom.events import cloudevents, strict_json
from darkroom.serving.asgi import Endpoint, http_function, in_thread, json_response, owner, request_id
from darkroom.serving.gate import make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.resources import Resources
from functions.ingest.acceptance import Acceptance
from functions.ingest.checking import CheckedSubmission
from functions.ingest.event_submissions import MAX_EVENT_BYTES, check_batch, submission_of
from functions.ingest.in_flight import BytesInFlight, Holding
from functions.ingest.intake import PictureIntake
from functions.ingest.reading import read_body, read_submission
from functions.ingest.submission import Submission
from functions.ingest.uploads import check_upload, signed_upload


def build(resources: Resources) -> Endpoint:
    """Build the function. Raises SettingsError when the API keys cannot be read."""
    routes = _Routes(resources)
    return http_function(
        "ingest",
        [
            *(Route(job_type.path, routes.accepts(job_type), methods=["POST"]) for job_type in JOB_TYPES),
            Route("/api/v1/uploads", routes.sign_upload, methods=["POST"]),
            Route("/api/v1/events", routes.take_events, methods=["POST"]),
            Route("/", routes.take_events, methods=["POST"]),
        ],
        open_routes=[
            Route("/openapi.json", describe, methods=["GET"]),
            *health_routes(
                {"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()},
                injected={"sink": resources.check_sink},
            ),
        ],
        gate=make_gate(resources, rate=resources.settings.rate_limit, scope="ingest"),
    )


class _Routes:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._acceptance = Acceptance(resources)
        self._in_flight = BytesInFlight()

    def accepts(self, job_type: JobType) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            max_bytes = self._resources.settings.max_input_bytes
            holding = self._in_flight.hold(owner(request))
            intake = self._intake(request, holding)
            try:
                with telemetry.span("receive"):
                    submission = await read_submission(request, job_type, intake, holding, max_bytes=max_bytes)
                record = await self._accept(request, submission)
            except BaseException:
                await intake.abandon()
                raise
            finally:
                holding.release()
            return json_response(_accepted(record), status=202, headers={"location": _location(record)})

        return endpoint

    async def take_events(self, request: Request) -> Response:
        holding = self._in_flight.hold(owner(request))
        try:
            return await self._take_events(request, holding)
        finally:
            holding.release()

    async def _take_events(self, request: Request, holding: Holding) -> Response:
        with telemetry.span("receive"):
            body = await read_body(request, holding, max_bytes=MAX_EVENT_BYTES, what="the event")
        if cloudevents.is_batch(request.headers):
            checked = await check_batch(body, partial(self._check, request))
            records = await in_thread(
                self._acceptance.accept_batch, checked, owner=owner(request), request_id=request_id(request)
            )
            return json_response({"jobs": [_accepted(record) for record in records]}, status=202)
        record = await self._accept(request, submission_of(cloudevents.parse_one(dict(request.headers), body)))
        return json_response(_accepted(record), status=202, headers={"location": _location(record)})

    async def sign_upload(self, request: Request) -> Response:
        return json_response(await in_thread(signed_upload, self._resources, owner(request)), status=201)

    def _intake(self, request: Request, holding: Holding) -> PictureIntake:
        resources = self._resources
        is_compared = "idempotency-key" in request.headers
        return PictureIntake(resources.storage, resources.settings.limits, holding, is_compared=is_compared)

    async def _check(self, request: Request, submission: Submission) -> CheckedSubmission:
        check_upload(submission, owner(request))
        return await in_thread(self._acceptance.check, submission)

    async def _accept(self, request: Request, submission: Submission) -> JobRecord:
        check_upload(submission, owner(request))
        return await in_thread(
            self._acceptance.accept, submission, owner=owner(request), request_id=request_id(request)
        )


async def describe(_request: Request) -> Response:
    return Response(_description(), media_type="application/json")


@cache
def _description() -> bytes:
    """Return the API description, built once: it is the same for everybody, and takes as long as a small picture."""
    return strict_json.dump(openapi())


def _accepted(record: JobRecord) -> dict[str, str]:
    return {"job_id": str(record.job_id), "status": "queued"}


def _location(record: JobRecord) -> str:
    return f"/api/v1/jobs/{record.job_id}"
