"""Filters the spans that leave a process: complete pieces of work only, and without secrets.

A worker may be killed at any moment. If its spans were sent as they end, those already sent could name a parent that is
never sent. So spans wait until the first span of the work in this process has ended. If an attempt is killed, the next
attempt reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, Status

from darkroom.redaction import redacted


class SpanFilter(SpanProcessor):
    """Holds spans back until their work is complete, then passes them to the processor that sends."""

    def __init__(self, sender: SpanProcessor) -> None:
        self._sender = sender
        self._local_roots: dict[int, int] = {}
        """For each open span, the first span of its work in this process."""
        self._waiting: dict[int, list[ReadableSpan]] = {}
        """Spans that have ended, by their local root, which has not."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        own, parent = _id(span), span.parent
        if parent is None or parent.is_remote:
            self._local_roots[own], self._waiting[own] = own, []
        elif parent.span_id in self._local_roots:
            self._local_roots[own] = self._local_roots[parent.span_id]

    def on_end(self, span: ReadableSpan) -> None:
        own = _id(span)
        root = self._local_roots.pop(own, None)
        if root == own:
            self._send([*self._waiting.pop(own, []), span])
        elif root in self._waiting:
            self._waiting[root].append(span)
        else:
            # The work that it belongs to was sent already.
            self._send([span])

    def shutdown(self) -> None:
        self._sender.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._sender.force_flush(timeout_millis)

    def _send(self, spans: list[ReadableSpan]) -> None:
        if _is_call_outside_work(spans[-1]):
            return
        for span in spans:
            self._sender.on_end(without_secrets(span))


def without_secrets(span: ReadableSpan) -> ReadableSpan:
    """Redact a span. Our own attributes hold no secrets, but those that libraries set, and their errors, may."""
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
        attributes=_redacted(span.attributes),
        events=[Event(event.name, _redacted(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, redacted(span.status.description or "") or None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _texts(attributes: Mapping[str, Any] | None) -> list[str]:
    return [] if attributes is None else [value for value in attributes.values() if isinstance(value, str)]


def _redacted(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: redacted(value) if isinstance(value, str) else value for name, value in (attributes or {}).items()}


def _is_call_outside_work(span: ReadableSpan) -> bool:
    """Report whether a span is a library's call outside any work of ours, such as a heartbeat or a health check."""
    return span.parent is None and span.kind is SpanKind.CLIENT


def _id(span: ReadableSpan) -> int:
    return 0 if span.context is None else span.context.span_id
