"""`on_event`: a plain function becomes a Knative Service that takes events of the types that its author names.

For any event function. It needs no pictures, no jobs and none of the pipeline's settings:

    from cloudevents.http import CloudEvent
    from darkroom.serving import on_event

    @on_event("shop.order.placed")
    def confirm(event: CloudEvent) -> CloudEvent | None:
        return CloudEvent({"type": "shop.order.confirmed", "source": "/shop/confirm"}, {"order": event.data["order"]})

The response to the Broker:

- 204 when the function returns None: the event is handled.
- 200 with the event that the function returns, which the Broker publishes. Its id must be new; the SDK makes one unless
  the author does. Brokers on JetStream drop a reply that reuses the incoming id as a duplicate.
- 500 for everything else, so that the Broker tries again and then sends the event to the dead-letter sink. Everything
  else means an exception, a refused reply, an event of another type, or a request that is not an event. An exception
  is logged; its text is not sent.

Retrying the last two is useless, and a 4xx would prevent it. But JetStream channels drop an event that is answered 4xx,
without a dead letter (measured with 400 and 404), and a 2xx would end it silently. A 500 costs a few deliveries and
leaves the event and the reason in the dead-letter sink, where one is configured.

functions-framework serves one function per process, the one that FUNCTION_TARGET names. A module may hold several
decorated functions: each Service serves its own, and the others stay unwired. A function for several types of events
lists them all: `@on_event("shop.order.placed", "shop.order.changed")`.

The only variables read are K_SERVICE (set by Knative), LOG_LEVEL and OTEL_*.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, cast

from cloudevents.abstract import CloudEvent as AnySdkEvent
from cloudevents.http import CloudEvent as SdkEvent

from darkroom.errors import EventInvalidError, SettingsError, must_pass
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import Done, EventAnswer, Failed
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.event_spans import contexts_of, processing
from darkroom.serving.framework import is_serving, serve_endpoint
from darkroom.serving.log import LEVELS, get_logger, log_fields
from darkroom.serving.reporting import begin_reporting
from darkroom.serving.sdk_events import from_sdk, to_sdk

log = get_logger()

Function = Callable[[SdkEvent], AnySdkEvent | None]


class _ReplyRefusedError(Exception):
    """The function returned something that cannot be a reply; the text is for its author."""


class EventHandler:
    """A function that takes events, not wired to anything yet. Calling it calls the decorated function."""

    __name__: str

    def __init__(self, event_types: tuple[str, ...], function: Function) -> None:
        self.event_types = event_types
        self._function = function
        update_wrapper(self, function)

    def __call__(self, event: SdkEvent) -> AnySdkEvent | None:
        return self._function(event)

    def build(self) -> EventEndpoint:
        """Build the endpoint that is served."""
        return EventEndpoint(self.__name__, self._handle, unreadable=_unreadable)

    def _handle(self, event: CloudEvent) -> EventAnswer:
        parent = next(iter(contexts_of(event)), None)
        with (
            log_fields(event_id=event.id, event_type=event.type, event_source=event.source),
            processing(event, parent) as span,
        ):
            answer = self._answer(event, in_trace=parent is not None)
            if isinstance(answer, Failed):
                span.failed("event.failed", answer.reason)
            return answer

    def _answer(self, event: CloudEvent, *, in_trace: bool) -> EventAnswer:
        if event.type not in self.event_types:
            reason = f"this function takes {' or '.join(self.event_types)}, not {event.type}"
            log.error("event.refused", error=reason)
            return Failed(reason=reason)
        began_s = time.monotonic()
        try:
            given = to_sdk(event)
        except EventInvalidError as exc:
            log.error("event.refused", error=exc.detail)
            return Failed(reason=exc.detail)
        try:
            reply = _reply(event, self._function(given))
        except _ReplyRefusedError as exc:
            log.error("reply.refused", error=str(exc))
            return Failed(reason=f"{self.__name__} returned what cannot be a reply; its log says why")
        except BaseException as exc:
            if must_pass(exc):
                raise
            log.exception("event.failed")
            return Failed(reason=f"{self.__name__} raised {type(exc).__name__}; its log has the rest")
        duration_ms = round((time.monotonic() - began_s) * 1000)
        log.info("event.handled", reply_type=None if reply is None else reply.type, duration_ms=duration_ms)
        return Done(reply=_in_trace(reply) if reply is not None and in_trace else reply)


def on_event(event_type: str, *more_types: str) -> Callable[[Function], EventHandler]:
    """Make the decorated function the handler of these event types.

    When functions-framework executes the module to serve this function, it is wired and served, and a wrong LOG_LEVEL
    or OTEL_* raises SettingsError. Imported by anything else, it stays an `EventHandler`.
    """
    event_types = _checked_types((event_type, *more_types))

    def decorate(function: Function) -> EventHandler:
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__name__} must be a plain function: events are handled one at a time, not awaited"
            )
        handler = EventHandler(event_types, function)
        if not is_serving(handler.__name__):
            return handler
        begin_reporting(os.environ.get("K_SERVICE") or handler.__name__, log_level=_log_level(os.environ))
        # functions-framework accepts only a plain function, and nobody else sees the result.
        return cast("EventHandler", serve_endpoint(handler.build()))

    return decorate


def _checked_types(given: tuple[Any, ...]) -> tuple[str, ...]:
    """Check the event types. Raises TypeError, above all for `@on_event` without parentheses."""
    for one in given:
        if not isinstance(one, str) or not one:
            raise TypeError(f'on_event takes types of events, as in @on_event("shop.order.placed"), not {one!r}')
    return given


def _reply(event: CloudEvent, returned: Any) -> CloudEvent | None:
    """Convert what the function returned to a reply. Raises _ReplyRefusedError."""
    if returned is None:
        return None
    if not isinstance(returned, AnySdkEvent):
        raise _ReplyRefusedError(f"return a cloudevents.http.CloudEvent or None, not {type(returned).__name__}")
    try:
        reply = from_sdk(returned)
    except EventInvalidError as exc:
        raise _ReplyRefusedError(exc.detail) from exc
    if reply.id == event.id:
        raise _ReplyRefusedError(
            f"the reply has the id of the event that it answers, {event.id!r}: brokers on JetStream drop it as a "
            "duplicate. Return a new CloudEvent, without an id or with another"
        )
    return reply


def _in_trace(reply: CloudEvent) -> CloudEvent:
    """Put the reply into the trace of the event, unless its author has put it into another."""
    current = tracing.current()
    if current is None or tracing.TRACEPARENT in reply.extensions:
        return reply
    return reply.with_extensions(**current.attributes())


def _unreadable(_headers: Mapping[str, str], _body: bytes, error: EventInvalidError) -> EventAnswer:
    return Failed(reason=error.detail)


def _log_level(environment: Mapping[str, str]) -> str:
    """Return the level in lower case. Other projects write it in capitals."""
    level = (environment.get("LOG_LEVEL") or "info").lower()
    if level not in LEVELS:
        raise SettingsError(f"LOG_LEVEL: must be {', '.join(LEVELS)}, was {level!r}")
    return level
