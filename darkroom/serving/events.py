"""`event_function`: a plain function becomes a Knative event consumer on functions-framework.

The `http` signature is used, not `cloud_event`: that one drops the return value and answers "200 OK" with a body, which
Knative's channel-based broker takes for a failed delivery (platform: functions-framework 3.10).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import flask
import functions_framework

from darkroom.contract import events
from darkroom.contract.errors import EventInvalidError
from darkroom.contract.job_types import job_type_of_event
from darkroom.contract.parameters.output import OutputParameters
from darkroom.events import cloudevents, tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.isolation import be_batch_work, bound_memory_of_workers
from darkroom.serving.log import get_logger
from darkroom.serving.shortcut import EventShortcut, HttpAnswer
from darkroom.serving.startup import start
from darkroom.serving.work import Answer, Done, TryAgain, Work, Worker

log = get_logger()

P = TypeVar("P", bound=OutputParameters)
View = Callable[[flask.Request], flask.Response]
Handler = Callable[[CloudEvent], Answer]

_JOB_NEEDS = frozenset({"REDIS_URL", "BUCKET_NAME"})


def event_function(event_type: str) -> Callable[[Work[P]], View]:
    """Serve the decorated function for the jobs of this event type.

    Raises UnknownJobTypeError for one that is in no row of the table, and SettingsError at start.
    """
    job_type_of_event(event_type)

    def decorate(work: Work[P]) -> View:
        resources = start(needs=_JOB_NEEDS)
        bound_memory_of_workers(resources.settings.worker_memory_bytes)
        be_batch_work()
        return serve_events(work.__name__, Worker(event_type, work, resources).handle, resources.settings.service)

    return decorate


def serve_events(name: str, handle: Handler, service: str) -> View:
    """Register a handler of events with functions-framework under this name."""

    def answer(headers: dict[str, str], body: bytes) -> HttpAnswer:
        with tracing.use(tracing.from_headers(headers)):
            try:
                event = cloudevents.parse_one(headers, body)
            except EventInvalidError as exc:
                log.warning("event.unreadable", error=exc.detail)
                return _http_answer(Done(reply=_unreadable(headers, body, exc, service)))
            return _http_answer(handle(event))

    def view(request: flask.Request) -> flask.Response:
        found = answer({key.lower(): value for key, value in request.headers.items()}, request.get_data(cache=False))
        return flask.Response(found.body, status=found.status, headers=found.headers)

    view.__name__ = name
    view.__qualname__ = name
    functions_framework.http(view)
    if flask.has_app_context():
        app = flask.current_app
        app.wsgi_app = EventShortcut(app.wsgi_app, answer)  # type: ignore[method-assign]
    return view


def _http_answer(answer: Answer) -> HttpAnswer:
    """The three answers that every Knative broker understands; never a 4xx, never a 2xx with another body."""
    match answer:
        case Done(reply=None):
            return HttpAnswer(status=204)
        case Done(reply=reply) if reply is not None:
            headers, body = cloudevents.encode_binary(reply)
            return HttpAnswer(status=200, headers=headers, body=body)
        case TryAgain():
            headers = {"retry-after": str(answer.retry_after_s), "content-type": "text/plain; charset=utf-8"}
            return HttpAnswer(status=503, headers=headers, body=answer.reason.encode())
    raise TypeError(f"not an answer: {answer!r}")


def _unreadable(headers: dict[str, str], body: bytes, exc: EventInvalidError, service: str) -> CloudEvent:
    """What is not even an event, wrapped in one, so that recovery can keep it."""
    wrapped = cloudevents.CloudEvent(
        id=headers.get("ce-id") or "unknown",
        source=f"/darkroom/{service}",
        type="dev.darkroom.unreadable",
        datacontenttype="application/octet-stream",
        data=body[:65536],
    )
    return events.rejected(wrapped, exc.detail, source=f"/darkroom/{service}")
