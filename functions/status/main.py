"""status: tells what became of a job, at once or as soon as it has ended, with a signed URL for its result."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.serving.asgi import http_function, in_thread, json_response, owner
from darkroom.serving.gate import make_gate
from darkroom.serving.health import health_routes
from darkroom.serving.startup import start
from functions.status.answers import JobAnswers, job_id_of, wait_s_of

resources = start(needs=frozenset({"REDIS_URL", "BUCKET_NAME"}))
answers = JobAnswers(resources)
gate = make_gate(resources, rate=resources.settings.rate_limit_reads, scope="status")


async def show_job(request: Request) -> Response:
    job_id = job_id_of(request.path_params["job_id"])
    wait_s = wait_s_of(dict(request.query_params))
    record = await answers.record(job_id, owner=owner(request), wait_s=wait_s)
    return json_response(await in_thread(answers.view, record))


status = http_function(
    "status",
    [
        Route("/api/v1/jobs/{job_id}", show_job, methods=["GET"]),
    ],
    open_routes=health_routes({"jobs": lambda: resources.jobs.check(), "storage": lambda: resources.storage.check()}),
    gate=gate,
)
