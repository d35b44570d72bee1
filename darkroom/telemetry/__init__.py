"""Spans, through an API that works the same whether or not they are recorded.

    with telemetry.span("render", format="webp") as span:
        ...
        span.set(width=400)

Telemetry is off when no OTLP endpoint is set. Then a span costs one function call and OpenTelemetry's SDK is never
imported; the trace ids of `darkroom.events.tracing` still reach events, records and log lines. When it is on,
`recording` sets up the SDK on the first span of a process, which in gunicorn's workers is after the fork. How the spans
of a delivery are related is defined by the code that serves it.

Our own attributes are passed by keyword and recorded as `darkroom.<name>`; those named by OpenTelemetry are passed in a
mapping, keyed by the constants in `names`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from darkroom.events import tracing
from darkroom.events.tracing import TraceContext
from darkroom.telemetry.switch import traces_are_wanted

if TYPE_CHECKING:
    from darkroom.telemetry.recording import Recorder

Value: TypeAlias = str | bool | int | float
Attributes: TypeAlias = Mapping[str, Value]
SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
ReportWarning = Callable[[str], None]
"""Receives OpenTelemetry's own warnings, at most one per minute."""


class Span(Protocol):
    def set(self, attributes: Attributes | None = None, /, **ours: Value | None) -> None:
        """Set attributes. None leaves an attribute out."""

    def rename(self, name: str) -> None: ...

    def failed(self, code: str, detail: str = "") -> None:
        """Mark the span as failed. An exception that leaves the block does so by itself."""


class _NoSpan:
    """A span that is not recorded and does not touch the current trace; also its context manager."""

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        return None

    def set(self, attributes: Attributes | None = None, /, **ours: Value | None) -> None:
        return None

    def rename(self, name: str) -> None:
        return None

    def failed(self, code: str, detail: str = "") -> None:
        return None


class _Unrecorded(_NoSpan):
    """A span that is not recorded, whose trace is the current one."""

    def __init__(self, context: TraceContext) -> None:
        self._context = context

    def __enter__(self) -> Span:
        self._token = tracing.attach(self._context)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        tracing.detach(self._token)


NO_SPAN: AbstractContextManager[Span] = _NoSpan()
"""No span at all, whether telemetry is on or off."""
_make_recorder: Callable[[], Recorder] | None = None
"""None: telemetry is off."""
_recorder: Recorder | None = None
_recorder_lock = threading.Lock()


def begin(service: str, *, report: ReportWarning, environment: Mapping[str, str] | None = None) -> None:
    """Switch telemetry on if the environment asks for it. Call it once per process, at startup.

    Raises SettingsError if OTEL_* require something unsupported.
    """
    global _make_recorder
    if not traces_are_wanted(os.environ if environment is None else environment):
        return
    # Imported in the master, so that its workers share the modules and none imports them while a job waits.
    from darkroom.telemetry import instance_start, recording

    instance_start.watch()
    _make_recorder = partial(recording.make_recorder, service, report)


def is_on() -> bool:
    return _make_recorder is not None


def span(
    name: str, attributes: Attributes | None = None, /, *, kind: SpanKind = "internal", **ours: Value | None
) -> AbstractContextManager[Span]:
    """Open a span in the current trace, or in a new trace if there is none."""
    if _make_recorder is None:
        return NO_SPAN
    return _the_recorder().span(name, attributes, ours, kind=kind, parent=tracing.current())


def entry(
    name: str,
    parent: TraceContext | None,
    attributes: Attributes | None = None,
    /,
    *,
    kind: SpanKind = "server",
    links: Sequence[TraceContext] = (),
    start_ns: int | None = None,
    **ours: Value | None,
) -> AbstractContextManager[Span]:
    """Open the first span in this process for work that `parent`, in another process, requested.

    Without a parent, a new trace begins. The block has a current trace in any case, recorded or not.
    """
    if _make_recorder is None:
        return unrecorded(parent)
    return _the_recorder().span(name, attributes, ours, kind=kind, parent=parent, links=links, start_ns=start_ns)


def unrecorded(parent: TraceContext | None) -> AbstractContextManager[Span]:
    """Enter a trace like `entry`, without a span: for health checks and polling, which would drown what matters."""
    return _Unrecorded(parent or tracing.new_root())


def past(
    name: str,
    start_ns: int,
    end_ns: int,
    attributes: Attributes | None = None,
    /,
    *,
    kind: SpanKind = "internal",
    error: str | None = None,
    **ours: Value | None,
) -> None:
    """Record a span of the current trace that has already ended. Times are since the epoch; `error` is a code."""
    if _make_recorder is not None:
        _the_recorder().past(name, start_ns, end_ns, attributes, ours, kind=kind, error=error)


def past_root(
    name: str, root: TraceContext, start_ns: int, end_ns: int, /, *, links: Sequence[TraceContext], **ours: Value | None
) -> None:
    """Record the root span, already ended, of a trace whose ids were chosen in advance."""
    if _make_recorder is not None:
        _the_recorder().past_root(name, root, start_ns, end_ns, ours, links=links)


def finish() -> None:
    """Send the remaining spans within two seconds. A process that exits normally does this on its own."""
    if _recorder is not None:
        _recorder.close()


def wake() -> None:
    """Set up recording before the first span. A server must do this on its main thread, where spans may never start."""
    if _make_recorder is not None:
        _the_recorder()


def _the_recorder() -> Recorder:
    global _recorder
    if _recorder is None:
        with _recorder_lock:
            if _recorder is None:
                if _make_recorder is None:
                    raise RuntimeError("telemetry is off")
                _recorder = _make_recorder()
    return _recorder
