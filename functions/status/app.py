"""status: reports the state of jobs, at once or as soon as something changes, with signed URLs for results."""

from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.route_templates import FILES_PATH
from darkroom.events import strict_json
from darkroom.serving.asgi import Endpoint, http_function, json_response, owner
from darkroom.serving.gate import make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.job_ids import job_id_of
from darkroom.serving.resources import Resources
from darkroom.serving.revocation import Revocations
from functions.status.answers import JobAnswers, job_query_of
from functions.status.event_stream import HEADERS, MEDIA_TYPE, EventStreamResponse, stream_of_unreadable
from functions.status.files import file_download
from functions.status.listing import list_query_of


def build(resources: Resources) -> Endpoint:
    """Build the function. Raises SettingsError when the API keys cannot be read."""
    gate = make_gate(resources, rate=resources.settings.rate_limit_reads, scope="status")
    routes = _Routes(resources, Revocations(gate.authenticator))
    return http_function(
        "status",
        [
            Route("/api/v1/jobs", routes.list_jobs, methods=["GET"]),
            Route("/api/v1/jobs/{job_id}", routes.show_job, methods=["GET"]),
            Route("/api/v1/jobs/{job_id}/events", routes.stream_changes, methods=["GET"]),
        ],
        open_routes=[
            *_file_routes(resources),
            *health_routes({"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()}),
        ],
        elsewhere={"/api/v1/jobs/{job_id}": ["DELETE"], "/api/v1/jobs/{job_id}/cancel": ["POST"]},
        gate=gate,
    )


def _file_routes(resources: Resources) -> list[Route]:
    """Make the route of signed downloads. Where an S3 server is the storage, they come from there."""
    if resources.files is None:
        return []
    return [Route(f"{FILES_PATH}/{{key:path}}", file_download(resources.files), methods=["GET"])]


class _Routes:
    def __init__(self, resources: Resources, revocations: Revocations) -> None:
        self._answers = JobAnswers(resources)
        self._revocations = revocations

    async def show_job(self, request: Request) -> Response:
        job_id = job_id_of(request.path_params["job_id"])
        query = job_query_of(request.query_params.multi_items())
        try:
            async with self._revocations.watch(owner(request)) if query.wait_s else nullcontext():
                record = await self._answers.record(job_id, owner=owner(request), wait_s=query.wait_s)
            view = await (self._answers.srcset(record) if query.is_srcset else self._answers.view(record))
        except JobUnreadableError as exc:
            view = strict_json.dump(exc.job.view())
        return Response(view, media_type="application/json", headers={"cache-control": "no-store"})

    async def stream_changes(self, request: Request) -> Response:
        try:
            record = await self._answers.record(job_id_of(request.path_params["job_id"]), owner=owner(request))
        except JobUnreadableError as exc:
            return Response(stream_of_unreadable(exc.job), media_type=MEDIA_TYPE, headers=HEADERS)
        return EventStreamResponse(self._answers, record, self._revocations)

    async def list_jobs(self, request: Request) -> Response:
        query = list_query_of(request.query_params.multi_items())
        return json_response(await self._answers.page(query, owner=owner(request)))
