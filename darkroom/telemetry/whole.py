"""What goes out of a process: work as a whole, and nothing that should not leave it.

A worker may be killed at any moment. Were the spans of its attempt sent as they end, those that were out would name a
parent that nobody ever sends; so they wait for the span that the work here began with. What killed the attempt is told
by the next one (`deliveries`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, Status

from darkroom.redaction import redacted


class WholeWork(SpanProcessor):
    """Stands before the processor that sends."""

    def __init__(self, sender: SpanProcessor) -> None:
        self._sender = sender
        self._first: dict[int, int] = {}
        """Of each open span, the one that the work here began with."""
        self._held: dict[int, list[ReadableSpan]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        own, parent = _id(span), span.parent
        if parent is None or parent.is_remote:
            self._first[own], self._held[own] = own, []
        elif parent.span_id in self._first:
            self._first[own] = self._first[parent.span_id]

    def on_end(self, span: ReadableSpan) -> None:
        own = _id(span)
        first = self._first.pop(own, None)
        if first == own:
            self._send([*self._held.pop(own, []), span])
        elif first in self._held:
            self._held[first].append(span)
        else:
            # The work that it belongs to was told of already.
            self._send([span])

    def shutdown(self) -> None:
        self._sender.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._sender.force_flush(timeout_millis)

    def _send(self, spans: list[ReadableSpan]) -> None:
        if _is_a_bare_call(spans[-1]):
            return
        for span in spans:
            self._sender.on_end(without_secrets(span))


def without_secrets(span: ReadableSpan) -> ReadableSpan:
    """Ours hold none; what libraries say of themselves, and of their errors, is looked through."""
    texts = [span.status.description, *_texts(span.attributes)]
    for event in span.events:
        texts += _texts(event.attributes)
    if all(text is None or redacted(text) == text for text in texts):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_clean(span.attributes),
        events=[Event(event.name, _clean(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, redacted(span.status.description or "") or None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _texts(attributes: Mapping[str, Any] | None) -> list[str]:
    return [] if attributes is None else [value for value in attributes.values() if isinstance(value, str)]


def _clean(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: redacted(value) if isinstance(value, str) else value for name, value in (attributes or {}).items()}


def _is_a_bare_call(span: ReadableSpan) -> bool:
    """A library's call outside any work of ours: a lease's heartbeat, a look at whether a server is there."""
    return span.parent is None and span.kind is SpanKind.CLIENT


def _id(span: ReadableSpan) -> int:
    return 0 if span.context is None else span.context.span_id
