"""ingest: accepts pictures and CloudEvents, and answers as soon as the job is safe."""

from collections.abc import Sequence
from functools import cache, partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom import telemetry
from darkroom.adapters.jobs.admission import JobName
from darkroom.contract.errors import RejectedError
from darkroom.contract.job_types import JOB_TYPES, JobType
from darkroom.contract.jobs import JobRecord
from darkroom.contract.openapi import openapi
from darkroom.contract.priorities import is_background
from darkroom.contract.requests import RequestRules
from darkroom.contract.route_templates import FILES_PATH
from darkroom.events import cloudevents, strict_json
from darkroom.serving.asgi import Endpoint, http_function, in_thread, json_response, owner, request_id
from darkroom.serving.endings import JobEndings
from darkroom.serving.gate import Gate, make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.job_ids import job_id_of
from darkroom.serving.preset_file import preset_source
from darkroom.serving.resources import Resources
from functions.ingest.acceptance import Acceptance, Caller
from functions.ingest.event_submissions import MAX_EVENT_BYTES, read_batch, submission_of
from functions.ingest.facts import picture_facts, requested_key
from functions.ingest.files import file_upload
from functions.ingest.in_flight import BytesInFlight, Holding
from functions.ingest.intake import PictureIntake
from functions.ingest.reading import MAX_JSON_BYTES, read_body, read_submission, requested_name
from functions.ingest.stored_pictures import StoredPictures
from functions.ingest.submission import Submission
from functions.ingest.uploads import check_key, check_upload, declared_bytes, signed_upload

UPLOADS_PATH = "/api/v1/uploads"
JOB_PATH = "/api/v1/jobs/{job_id}"
CANCEL_PATH = f"{JOB_PATH}/cancel"
EVENT_PATHS = ("/api/v1/events", "/")


def build(resources: Resources) -> Endpoint:
    """Build the function. Raises SettingsError when the API keys or the presets cannot be read."""
    settings = resources.settings
    gate = make_gate(
        resources,
        rate=settings.rate_limit,
        byte_rate=settings.rate_limit_bytes,
        scope="ingest",
        what="jobs",
        counted_apart={UPLOADS_PATH: "uploads", JOB_PATH: "erasures", CANCEL_PATH: "cancellations"},
        counted_by_endpoint=_is_batch,
    )
    routes = _Routes(resources, gate)
    return http_function(
        "ingest",
        [
            *(Route(job_type.path, routes.accepts(job_type), methods=["POST"]) for job_type in JOB_TYPES),
            Route(UPLOADS_PATH, routes.sign_upload, methods=["POST"]),
            Route("/api/v1/facts", routes.show_facts, methods=["GET"]),
            Route("/api/v1/presets", routes.list_presets, methods=["GET"]),
            Route(JOB_PATH, routes.erase_job, methods=["DELETE"]),
            Route(CANCEL_PATH, routes.cancel_job, methods=["POST"]),
            *(Route(path, routes.take_events, methods=["POST"]) for path in EVENT_PATHS),
        ],
        open_routes=[
            *_file_routes(resources, routes.in_flight),
            Route("/openapi.json", describe, methods=["GET"]),
            *health_routes(
                {"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()},
                injected={"sink": resources.check_sink},
            ),
        ],
        elsewhere={"/api/v1/jobs": ["GET"], JOB_PATH: ["GET"], f"{JOB_PATH}/events": ["GET"]},
        gate=gate,
    )


def _file_routes(resources: Resources, in_flight: BytesInFlight) -> list[Route]:
    """Make the route of signed uploads. Where an S3 server is the storage, they go there."""
    storage, max_bytes = resources.files, resources.settings.max_input_bytes
    if storage is None:
        return []
    endpoint = file_upload(storage, in_flight, max_bytes=max_bytes)
    return [Route(f"{FILES_PATH}/{{key:path}}", endpoint, methods=["PUT"])]


def _is_batch(request: Request) -> bool:
    return request.state.route in EVENT_PATHS and cloudevents.is_batch(request.headers)


class _Routes:
    def __init__(self, resources: Resources, gate: Gate) -> None:
        self._resources = resources
        self._gate = gate
        self._acceptance = Acceptance(resources)
        self._presets = preset_source(resources.settings)
        self._endings = JobEndings(resources, self._acceptance.outbox)
        self.in_flight = BytesInFlight()

    def accepts(self, job_type: JobType) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            max_bytes = self._resources.settings.max_input_bytes
            with self.in_flight.holding(owner(request)) as holding:
                await self._check_room(request, [requested_name(request)])
                intake = self._intake(request, holding)
                try:
                    with telemetry.span("receive"):
                        submission = await read_submission(
                            request, job_type, self._rules(), intake, holding, max_bytes=max_bytes
                        )
                    record = await self._accept(request, submission)
                except BaseException:
                    await intake.abandon()
                    raise
            return json_response(_accepted(record), status=202, headers={"location": _location(record)})

        return endpoint

    async def take_events(self, request: Request) -> Response:
        with self.in_flight.holding(owner(request)) as holding:
            if _is_batch(request):
                return await self._take_batch(request, holding)
            with telemetry.span("receive"):
                body = await _read_events(request, holding)
            record = await self._accept(
                request, submission_of(cloudevents.parse_one(dict(request.headers), body), self._rules())
            )
        return json_response(_accepted(record), status=202, headers={"location": _location(record)})

    async def _take_batch(self, request: Request, holding: Holding) -> Response:
        """Accept a batch whole or not at all. It is valid and counted before a picture is looked up or fetched."""
        try:
            with telemetry.span("receive"):
                batch = read_batch(await _read_events(request, holding), self._rules())
        except RejectedError:
            await self._gate.count(request)
            raise
        await batch.judge(partial(self._check_owner, request))
        await self._gate.count(request, batch.jobs)
        await self._check_room(request, batch.names(owner(request)))
        pictures = self._acceptance.stored_pictures()
        await batch.judge(lambda submission: in_thread(pictures.size_bytes, submission.storage_key or ""))
        batch.refuse_any()
        await self._gate.count_bytes(request, pictures.found_bytes)
        checked = await batch.judge(lambda submission: in_thread(self._acceptance.check, submission, pictures))
        batch.refuse_any()
        records = await in_thread(self._acceptance.accept_batch, checked, self._caller(request))
        return json_response({"jobs": [_accepted(record) for record in records]}, status=202)

    async def sign_upload(self, request: Request) -> Response:
        with self.in_flight.holding(owner(request)) as holding:
            body = await read_body(request, holding, max_bytes=MAX_JSON_BYTES, what="the JSON document")
        await self._check_room(request, [JobName()])
        size_bytes = declared_bytes(body, max_bytes=self._resources.settings.max_input_bytes)
        signed = await in_thread(signed_upload, self._resources, owner(request), size_bytes)
        return json_response(signed, status=201)

    async def show_facts(self, request: Request) -> Response:
        key = requested_key(request.query_params.multi_items())
        check_key(key, owner(request), self._resources.settings.input_prefixes)
        facts = await in_thread(self._acceptance.stored_pictures().facts, key)
        return json_response(picture_facts(key, facts))

    async def list_presets(self, _request: Request) -> Response:
        presets = self._presets.current()
        return json_response({"presets": [preset.view() for preset in presets]}, headers={"cache-control": "no-cache"})

    def _rules(self) -> RequestRules:
        return RequestRules(presets=self._presets.current(), presets_only=self._resources.settings.presets_only)

    async def erase_job(self, request: Request) -> Response:
        await in_thread(self._endings.erase, _requested_job(request), owner=owner(request))
        return Response(status_code=204)

    async def cancel_job(self, request: Request) -> Response:
        return json_response(await in_thread(self._endings.cancel, _requested_job(request), owner=owner(request)))

    def _intake(self, request: Request, holding: Holding) -> PictureIntake:
        resources = self._resources
        is_compared = "idempotency-key" in request.headers
        return PictureIntake(resources.storage, resources.settings.limits, holding, is_compared=is_compared)

    async def _accept(self, request: Request, submission: Submission) -> JobRecord:
        await self._check_owner(request, submission)
        pictures = self._acceptance.stored_pictures()
        if self._gate.byte_rate is not None:
            await self._gate.count_bytes(request, await _size_bytes(submission, pictures))
        return await in_thread(self._acceptance.accept, submission, pictures, self._caller(request))

    async def _check_owner(self, request: Request, submission: Submission) -> None:
        check_upload(submission, owner(request), self._resources.settings.input_prefixes)

    async def _check_room(self, request: Request, names: Sequence[JobName]) -> None:
        await in_thread(self._acceptance.check_room, owner(request), names)

    def _caller(self, request: Request) -> Caller:
        weight = self._gate.authenticator.weight_of(owner(request))
        return Caller(
            owner=owner(request),
            request_id=request_id(request),
            weight=weight,
            in_background=is_background(request.headers.getlist("priority")),
        )


def _requested_job(request: Request) -> UUID:
    return job_id_of(request.path_params["job_id"])


async def _size_bytes(submission: Submission, pictures: StoredPictures) -> int:
    if submission.body is not None:
        return len(submission.body)
    if submission.streamed is not None:
        return submission.streamed.facts.input_bytes
    return await in_thread(pictures.size_bytes, submission.storage_key or "")


async def _read_events(request: Request, holding: Holding) -> bytes:
    return await read_body(request, holding, max_bytes=MAX_EVENT_BYTES, what="the event")


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
