"""The runtime's own part of a trace: what a cluster's broker, dispatcher and activator do with a job's event.

On when an OTLP endpoint is set in the runtime's own environment, as `darkroom.telemetry` is in functions, which
are handed the same settings. What belongs to no trace (a PingSource's event) is not told of.
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
_OUR_OWN = "OTEL_SERVICE_NAME"
"""A function has its own."""
_SHORTEST_WAIT_NS = 1_000_000


def begin(report: Report) -> None:
    """Raises SettingsError."""
    telemetry.begin(SERVICE, report=lambda error: report("telemetry.failed", error=error))


def handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What functions are told of where telemetry goes."""
    return {name: value for name, value in environment.items() if name.startswith(_PREFIX) and name != _OUR_OWN}


def taking(event: CloudEvent, headers: Mapping[str, str], broker: str) -> AbstractContextManager[telemetry.Span]:
    """The Broker's ingress: from the request to the event's being stored."""
    parent = tracing.from_headers(headers) or tracing.from_attributes(event.extensions)
    return _span(f"publish {broker}", parent, event, broker, kind="server", operation="publish")


def replying(reply: CloudEvent, broker: str) -> AbstractContextManager[telemetry.Span]:
    """An answer that is an event, published to the Broker again."""
    return _span(f"reply {broker}", tracing.current(), reply, broker, kind="producer", operation="publish")


def delivering(event: CloudEvent, trigger: str, broker: str) -> AbstractContextManager[telemetry.Span]:
    """One attempt to deliver an event to a Trigger's subscriber."""
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
def waiting_for_an_instance(service: str) -> Iterator[None]:
    """The activator's part; told of only where there was a wait."""
    began_ns = time.time_ns()
    yield
    ended_ns = time.time_ns()
    if ended_ns - began_ns >= _SHORTEST_WAIT_NS and tracing.current() is not None:
        telemetry.past("wait for instance", began_ns, ended_ns, {names.FAAS_NAME: service})
