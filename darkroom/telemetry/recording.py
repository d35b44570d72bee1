"""Spans as OpenTelemetry's SDK records and sends them. Imported only where traces are on; made after the fork.

What is set: the resource, the batch, and an end that waits for nobody. Endpoint, headers, sampler, limits and the rest
the SDK reads from OTEL_* by itself.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

import darkroom
from darkroom.errors import DarkroomError
from darkroom.events import tracing
from darkroom.events.tracing import TraceContext
from darkroom.redaction import redacted
from darkroom.telemetry import names
from darkroom.telemetry.complaints import quieten
from darkroom.telemetry.endings import end_as_programs_do
from darkroom.telemetry.libraries import instrument_libraries
from darkroom.telemetry.resource import resource_of
from darkroom.telemetry.whole import WholeWork

SEND_EVERY_MS = 1000
"""Unless OTEL_BSP_SCHEDULE_DELAY says otherwise; the specification's five seconds are long for a process that may be
killed at any moment and scales to zero."""
FLUSH_WITHIN_S = 1.8

_KINDS = {kind.name.lower(): kind for kind in otel.SpanKind}

Attributes = Mapping[str, Any]


def make_recorder(service: str, tell: Callable[[str], None]) -> Recorder:
    """As OTEL_* say. `tell` is told of what goes wrong with sending."""
    quieten(tell)
    every_ms = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else SEND_EVERY_MS
    recorder = Recorder(service, BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=every_ms))
    atexit.register(recorder.close)
    end_as_programs_do()
    instrument_libraries(recorder.provider)
    return recorder


class Recorder:
    """One a process. `sender` is handed what has ended."""

    def __init__(self, service: str, sender: SpanProcessor) -> None:
        self._ids = _Ids()
        self._sender = sender
        self.provider = TracerProvider(resource=resource_of(service), id_generator=self._ids, shutdown_on_exit=False)
        self.provider.add_span_processor(WholeWork(sender))
        self._tracer = self.provider.get_tracer("darkroom", darkroom.__version__)
        self._closing, self._closed = threading.Event(), threading.Event()
        # Waits from the start: at the interpreter's exit no thread can be begun any more.
        threading.Thread(target=self._close, name="telemetry-close", daemon=True).start()

    def span(
        self,
        name: str,
        attributes: Attributes | None,
        ours: Attributes,
        *,
        kind: str,
        parent: TraceContext | None,
        links: Sequence[TraceContext] = (),
        start_ns: int | None = None,
    ) -> AbstractContextManager[Any]:
        started = self._start(name, attributes, ours, kind, _within(parent), links, start_ns)
        return _Current(started, "" if parent is None else parent.tracestate)

    def past(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Attributes | None,
        ours: Attributes,
        *,
        kind: str,
        error: str | None,
    ) -> None:
        span = self._start(name, attributes, ours, kind, _within(tracing.current()), (), start_ns)
        if error is not None:
            _fail(span, error, "")
        span.end(max(start_ns, end_ns))

    def past_root(
        self,
        name: str,
        root: TraceContext,
        start_ns: int,
        end_ns: int,
        ours: Attributes,
        *,
        links: Sequence[TraceContext],
    ) -> None:
        with self._ids.agreed(root):
            span = self._start(name, None, ours, "internal", otel_context.Context(), links, start_ns)
        span.end(max(start_ns, end_ns))

    def close(self) -> None:
        """Sends what there is; a collector that does not answer is not waited for."""
        self._closing.set()
        self._closed.wait(FLUSH_WITHIN_S)

    def _close(self) -> None:
        self._closing.wait()
        self._sender.shutdown()
        self._closed.set()

    def _start(
        self,
        name: str,
        attributes: Attributes | None,
        ours: Attributes,
        kind: str,
        context: otel_context.Context | None,
        links: Sequence[TraceContext],
        start_ns: int | None,
    ) -> otel.Span:
        return self._tracer.start_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes={**(attributes or {}), **_named(ours)},
            links=[otel.Link(_span_context(link)) for link in links],
            start_time=start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )


class _Current:
    """A span that is the current one, for OpenTelemetry and for `tracing`, as long as its block lasts."""

    __slots__ = ("_otel_token", "_span", "_token", "_tracestate")

    def __init__(self, span: otel.Span, tracestate: str) -> None:
        self._span = span
        self._tracestate = tracestate

    def __enter__(self) -> _Current:
        self._otel_token = otel_context.attach(otel.set_span_in_context(self._span))
        self._token = tracing.attach(_trace_context(self._span.get_span_context(), self._tracestate))
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if exc is not None:
            code = exc.code if isinstance(exc, DarkroomError) else type(exc).__name__
            self.failed(code, exc.detail if isinstance(exc, DarkroomError) else "")
        tracing.detach(self._token)
        otel_context.detach(self._otel_token)
        self._span.end()

    def set(self, attributes: Attributes | None = None, /, **ours: Any) -> None:
        self._span.set_attributes({**(attributes or {}), **_named(ours)})

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, code: str, detail: str = "") -> None:
        _fail(self._span, code, detail)


class _Ids(RandomIdGenerator):
    """Random ones, unless those of the next span were agreed on before."""

    def __init__(self) -> None:
        self._agreed: ContextVar[TraceContext | None] = ContextVar("darkroom_agreed_ids", default=None)

    def agreed(self, context: TraceContext) -> AbstractContextManager[None]:
        return _Set(self._agreed, context)

    def generate_trace_id(self) -> int:
        agreed = self._agreed.get()
        return super().generate_trace_id() if agreed is None else int(agreed.trace_id, 16)

    def generate_span_id(self) -> int:
        agreed = self._agreed.get()
        return super().generate_span_id() if agreed is None else int(agreed.span_id, 16)


class _Set:
    def __init__(self, variable: ContextVar[TraceContext | None], value: TraceContext) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_exc: object) -> None:
        self._variable.reset(self._token)


def _within(parent: TraceContext | None) -> otel_context.Context:
    """Where a span of `parent`'s is begun: in the current one if that is it; only then is it known as a local one."""
    if parent is None:
        return otel_context.Context()
    current = otel.get_current_span()
    known = current.get_span_context()
    if known.is_valid and known.span_id == int(parent.span_id, 16):
        return otel_context.get_current()
    return otel.set_span_in_context(otel.NonRecordingSpan(_span_context(parent)))


def _span_context(context: TraceContext) -> otel.SpanContext:
    state = otel.TraceState.from_header([context.tracestate]) if context.tracestate else None
    return otel.SpanContext(
        trace_id=int(context.trace_id, 16),
        span_id=int(context.span_id, 16),
        is_remote=True,
        trace_flags=otel.TraceFlags(context.flags),
        trace_state=state,
    )


def _trace_context(context: otel.SpanContext, tracestate: str) -> TraceContext:
    return TraceContext(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        flags=int(context.trace_flags) & tracing.KNOWN_FLAGS,
        tracestate=tracestate,
    )


def _named(ours: Attributes) -> dict[str, Any]:
    return {f"darkroom.{name}": value for name, value in ours.items() if value is not None}


def _fail(span: otel.Span, code: str, detail: str) -> None:
    span.set_attribute(names.ERROR_TYPE, code)
    span.set_status(otel.Status(otel.StatusCode.ERROR, redacted(detail) or None))
