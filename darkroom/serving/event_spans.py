"""The span that covers the processing of one event."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from darkroom import telemetry
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.events.tracing import TraceContext
from darkroom.telemetry import names


def contexts_of(event: CloudEvent) -> list[TraceContext]:
    """Return the traces that came with a delivery: the request's, which is the current one, then the event's own."""
    contexts = (tracing.current(), tracing.from_attributes(event.extensions))
    return [context for context in contexts if context is not None]


def processing(
    event: CloudEvent,
    parent: TraceContext | None,
    *,
    links: Sequence[TraceContext] = (),
    start_ns: int | None = None,
) -> AbstractContextManager[telemetry.Span]:
    """Open the span, named by OpenTelemetry's conventions for messaging and FaaS. `start_ns` is since the epoch, None
    for now.
    """
    attributes = {
        **names.event_attributes(event),
        names.MESSAGING_SYSTEM: "knative",
        names.MESSAGING_OPERATION: "process",
        names.MESSAGING_OPERATION_TYPE: "process",
        names.MESSAGING_MESSAGE_ID: event.id,
        names.FAAS_TRIGGER: "pubsub",
    }
    return telemetry.entry(f"process {event.type}", parent, attributes, kind="consumer", links=links, start_ns=start_ns)
