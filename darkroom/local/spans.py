"""The runtime's own spans: what a cluster's broker, dispatcher and activator do with an event.

They are recorded when an OTLP endpoint is set in the runtime's own environment. Functions get the same settings. An
event that belongs to no trace, such as a PingSource's, is not recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from darkroom import telemetry
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.events.tracing import TraceContext
from darkroom.local.reporting import Report
from darkroom.telemetry import names

SERVICE = "darkroom-local"
_PREFIX = "OTEL_"
_NOT_SHARED = "OTEL_SERVICE_NAME"
"""Each function has its own."""
_SHORTEST_WAIT_NS = 1_000_000


def begin(report: Report) -> None:
    """Switch the spans on if the environment asks for them. Raises SettingsError."""
    telemetry.begin(SERVICE, report=lambda error: report("telemetry.failed", error=error))


def variables_for_functions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the telemetry variables that functions inherit."""
    return {name: value for name, value in environment.items() if name.startswith(_PREFIX) and name != _NOT_SHARED}


def publish_span(event: CloudEvent, headers: Mapping[str, str], broker: str) -> AbstractContextManager[telemetry.Span]:
    """Open a span in the Broker's ingress, from the request until the event is stored."""
    parent = tracing.from_headers(headers) or tracing.from_attributes(event.extensions)
    return _span(f"publish {broker}", parent, event, broker, kind="server", operation="publish")


def reply_span(reply: CloudEvent, broker: str) -> AbstractContextManager[telemetry.Span]:
    """Open a span for a reply event that is published to the Broker."""
    return _span(f"reply {broker}", tracing.current(), reply, broker, kind="producer", operation="publish")


def delivery_span(event: CloudEvent, trigger: str, broker: str) -> AbstractContextManager[telemetry.Span]:
    """Open a span for one attempt to deliver an event to a Trigger's subscriber."""
    parent = tracing.from_attributes(event.extensions)
    return _span(f"deliver {trigger}", parent, event, broker, kind="client", operation="deliver")


def _span(
    name: str, parent: TraceContext | None, event: CloudEvent, broker: str, *, kind: telemetry.SpanKind, operation: str
) -> AbstractContextManager[telemetry.Span]:
    if parent is None:
        return telemetry.NO_SPAN
    if not telemetry.is_on():
        return telemetry.unrecorded(parent)
    attributes = {
        **names.event_attributes(event),
        names.MESSAGING_SYSTEM: "nats",
        names.MESSAGING_OPERATION: operation,
        names.MESSAGING_DESTINATION: broker,
        names.MESSAGING_MESSAGE_ID: event.id,
    }
    return telemetry.entry(name, parent, attributes, kind=kind)


@contextmanager
def instance_wait_span(service: str) -> Iterator[None]:
    """Record the activator's wait for an instance, if there was one."""
    began_ns = time.time_ns()
    yield
    ended_ns = time.time_ns()
    if ended_ns - began_ns >= _SHORTEST_WAIT_NS and tracing.current() is not None:
        telemetry.past("wait for instance", began_ns, ended_ns, {names.FAAS_NAME: service})
