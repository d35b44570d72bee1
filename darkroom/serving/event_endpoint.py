"""Answers events over HTTP: the part shared by all functions that take events.

Needs no settings and knows no jobs. `events` uses it for the pipeline's functions, `event_handler` for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from darkroom.errors import DependencyUnavailableError, EventInvalidError, must_pass
from darkroom.events import cloudevents, tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import Done, EventAnswer, Failed, TryAgain
from darkroom.serving.log import get_logger
from darkroom.serving.shortcut import HttpAnswer

log = get_logger()

Handler = Callable[[CloudEvent], EventAnswer]
Unreadable = Callable[[Mapping[str, str], bytes, EventInvalidError], EventAnswer]
"""Answers a request that is not an event; takes its headers, its body and the error."""

_PLAIN_TEXT = "text/plain; charset=utf-8"


class EventEndpoint:
    """A handler of events behind the CloudEvents codec. `name` is the function's."""

    def __init__(
        self, name: str, handle: Handler, *, unreadable: Unreadable, check_startup: Callable[[], None] | None = None
    ) -> None:
        """Wrap the handler. `check_startup` raises DependencyUnavailableError while something that the platform injects
        is missing.
        """
        self.name = name
        self.handle = handle
        self._unreadable = unreadable
        self._check_startup = check_startup

    def startup(self) -> HttpAnswer:
        """Answer a readinessProbe."""
        try:
            if self._check_startup is not None:
                self._check_startup()
        except DependencyUnavailableError as exc:
            return HttpAnswer(status=503, headers={"content-type": _PLAIN_TEXT}, body=exc.detail.encode())
        return HttpAnswer(status=200, headers={"content-type": _PLAIN_TEXT}, body=b"ok")

    def answer(self, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Answer a POST; header names are lower case. A handler's exception is logged and answered with 500."""
        with tracing.use(tracing.from_headers(headers)):
            try:
                return _http_answer(self._answer(headers, body))
            except BaseException as exc:
                if must_pass(exc):
                    raise
                log.exception("request.crashed")
                return HttpAnswer(status=500)

    def _answer(self, headers: Mapping[str, str], body: bytes) -> EventAnswer:
        try:
            event = cloudevents.parse_one(headers, body)
        except EventInvalidError as exc:
            log.warning("event.unreadable", error=exc.detail)
            return self._unreadable(headers, body, exc)
        return self.handle(event)


def _http_answer(answer: EventAnswer) -> HttpAnswer:
    """Convert to a response that every Knative broker understands: never a 4xx, never a 2xx with another body."""
    match answer:
        case Done(reply=None):
            return HttpAnswer(status=204)
        case Done(reply=reply) if reply is not None:
            headers, body = cloudevents.encode_binary(reply)
            return HttpAnswer(status=200, headers=headers, body=body)
        case TryAgain():
            headers = {"retry-after": str(answer.retry_after_s), "content-type": _PLAIN_TEXT}
            return HttpAnswer(status=503, headers=headers, body=answer.reason.encode())
        case Failed():
            return HttpAnswer(status=500, headers={"content-type": _PLAIN_TEXT}, body=answer.reason.encode())
    raise TypeError(f"not an answer: {answer!r}")
