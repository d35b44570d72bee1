"""Records and sends spans with OpenTelemetry's SDK. Imported only when traces are on; set up after the fork.

Only the resource, the batching and a shutdown that waits for nobody are set here. The SDK itself reads the endpoint,
headers, sampler, limits and the rest from OTEL_*.
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
from darkroom.telemetry.graceful_exit import exit_normally_on_sigterm
from darkroom.telemetry.libraries import instrument_libraries
from darkroom.telemetry.resource import resource_of
from darkroom.telemetry.sdk_warnings import report_sdk_warnings
from darkroom.telemetry.span_filter import SpanFilter

SEND_EVERY_MS = 1000
"""The default; OTEL_BSP_SCHEDULE_DELAY overrides it. The specification's default of five seconds is long for a process
that may be killed at any moment and scales to zero."""
FLUSH_WITHIN_S = 1.8

_KINDS = {kind.name.lower(): kind for kind in otel.SpanKind}

Attributes = Mapping[str, Any]


def make_recorder(service: str, report: Callable[[str], None]) -> Recorder:
    """Create a recorder as configured by OTEL_*. `report` receives warnings, such as failures to send."""
    report_sdk_warnings(report)
    every_ms = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else SEND_EVERY_MS
    recorder = Recorder(service, BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=every_ms))
    atexit.register(recorder.close)
    exit_normally_on_sigterm()
    instrument_libraries(recorder.provider)
    return recorder


class Recorder:
    """Records spans and passes finished ones to `sender`. There is one instance per process."""

    def __init__(self, service: str, sender: SpanProcessor) -> None:
        self._ids = _IdGenerator()
        self._sender = sender
        self.provider = TracerProvider(resource=resource_of(service), id_generator=self._ids, shutdown_on_exit=False)
        self.provider.add_span_processor(SpanFilter(sender))
        self._tracer = self.provider.get_tracer("darkroom", darkroom.__version__)
        self._closing, self._closed = threading.Event(), threading.Event()
        # Started now because no thread can be started while the interpreter exits.
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
        started = self._start(name, attributes, ours, kind, _parent_context(parent), links, start_ns)
        return _CurrentSpan(started, "" if parent is None else parent.tracestate)

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
        span = self._start(name, attributes, ours, kind, _parent_context(tracing.current()), (), start_ns)
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
        with self._ids.use_next(root):
            span = self._start(name, None, ours, "internal", otel_context.Context(), links, start_ns)
        span.end(max(start_ns, end_ns))

    def close(self) -> None:
        """Send what is left, without waiting for a collector that does not answer."""
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
            attributes={**(attributes or {}), **_prefixed(ours)},
            links=[otel.Link(_span_context(link)) for link in links],
            start_time=start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )


class _CurrentSpan:
    """A span that is current, for OpenTelemetry and for `tracing`, until its block ends."""

    __slots__ = ("_otel_token", "_span", "_token", "_tracestate")

    def __init__(self, span: otel.Span, tracestate: str) -> None:
        self._span = span
        self._tracestate = tracestate

    def __enter__(self) -> _CurrentSpan:
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
        self._span.set_attributes({**(attributes or {}), **_prefixed(ours)})

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, code: str, detail: str = "") -> None:
        _fail(self._span, code, detail)


class _IdGenerator(RandomIdGenerator):
    """Generates random ids, unless the ids of the next span were chosen in advance."""

    def __init__(self) -> None:
        self._chosen: ContextVar[TraceContext | None] = ContextVar("darkroom_chosen_ids", default=None)

    def use_next(self, context: TraceContext) -> AbstractContextManager[None]:
        return _SetVariable(self._chosen, context)

    def generate_trace_id(self) -> int:
        chosen = self._chosen.get()
        return super().generate_trace_id() if chosen is None else int(chosen.trace_id, 16)

    def generate_span_id(self) -> int:
        chosen = self._chosen.get()
        return super().generate_span_id() if chosen is None else int(chosen.span_id, 16)


class _SetVariable:
    def __init__(self, variable: ContextVar[TraceContext | None], value: TraceContext) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_exc: object) -> None:
        self._variable.reset(self._token)


def _parent_context(parent: TraceContext | None) -> otel_context.Context:
    """Return the context in which to start a child of `parent`.

    If `parent` is the current span, this is the current context, so that the SDK treats the parent as local.
    """
    if parent is None:
        return otel_context.Context()
    current = otel.get_current_span().get_span_context()
    if current.is_valid and current.span_id == int(parent.span_id, 16):
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


def _prefixed(ours: Attributes) -> dict[str, Any]:
    return {f"darkroom.{name}": value for name, value in ours.items() if value is not None}


def _fail(span: otel.Span, code: str, detail: str) -> None:
    span.set_attribute(names.ERROR_TYPE, code)
    span.set_status(otel.Status(otel.StatusCode.ERROR, redacted(detail) or None))
