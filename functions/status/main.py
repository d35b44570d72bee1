"""status: tells what became of jobs, at once or as soon as something changes, with signed URLs for results."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.serving.asgi import http_function, json_response, owner
from darkroom.serving.gate import make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.startup import start
from functions.status.answers import JobAnswers, job_id_of, wait_s_of
from functions.status.event_stream import EventStreamResponse
from functions.status.listing import list_query_of

resources = start(needs=frozenset({"REDIS_URL", "BUCKET_NAME"}))
answers = JobAnswers(resources)
gate = make_gate(resources, rate=resources.settings.rate_limit_reads, scope="status")


async def show_job(request: Request) -> Response:
    job_id = job_id_of(request.path_params["job_id"])
    wait_s = wait_s_of(request.query_params.multi_items())
    record = await answers.record(job_id, owner=owner(request), wait_s=wait_s)
    return Response(await answers.view(record), media_type="application/json", headers={"cache-control": "no-store"})


async def tell_changes(request: Request) -> Response:
    record = await answers.record(job_id_of(request.path_params["job_id"]), owner=owner(request))
    return EventStreamResponse(answers, record)


async def list_jobs(request: Request) -> Response:
    query = list_query_of(request.query_params.multi_items())
    return json_response(await answers.page(query, owner=owner(request)))


status = http_function(
    "status",
    [
        Route("/api/v1/jobs", list_jobs, methods=["GET"]),
        Route("/api/v1/jobs/{job_id}", show_job, methods=["GET"]),
        Route("/api/v1/jobs/{job_id}/events", tell_changes, methods=["GET"]),
    ],
    open_routes=health_routes({"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()}),
    gate=gate,
)
