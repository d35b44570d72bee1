"""Spans, for serving code that does not want to know whether anybody records them.

    with telemetry.span("render", format="webp") as span:
        ...
        span.set(width=400)

Off, which is where no OTLP endpoint is set, a span is one function call, and nothing of OpenTelemetry's SDK is ever
imported; the trace ids of `darkroom.events.tracing` still reach events, records and log lines. On, `recording` makes
the SDK's parts on the first span of a process: in gunicorn's worker, that is, after the fork. How the spans of a
delivery hang together is `deliveries`'.

Attributes with names of ours are given by keyword and are recorded as `darkroom.<name>`; those that OpenTelemetry names
come in a mapping, by the constants of `names`.
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
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Tell = Callable[[str], None]
"""Takes what OpenTelemetry complains of, at most once a minute."""


class Span(Protocol):
    def set(self, attributes: Attributes | None = None, /, **ours: Value | None) -> None:
        """None leaves an attribute out."""

    def rename(self, name: str) -> None: ...

    def failed(self, code: str, detail: str = "") -> None:
        """An exception that leaves the block is told of by itself."""


class _Silent:
    """The span that nobody records, and the block that holds it."""

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


class _Unrecorded(_Silent):
    """Nobody records it, but its trace is the current one."""

    def __init__(self, context: TraceContext) -> None:
        self._context = context

    def __enter__(self) -> Span:
        self._token = tracing.attach(self._context)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        tracing.detach(self._token)


SILENT: AbstractContextManager[Span] = _Silent()
"""No span at all, whether telemetry is on or off."""
_make_recorder: Callable[[], Recorder] | None = None
"""None: off."""
_recorder: Recorder | None = None
_making = threading.Lock()


def begin(service: str, *, tell: Tell, environment: Mapping[str, str] | None = None) -> None:
    """Once a process, at start. Raises SettingsError for what OTEL_* ask for and we do not have."""
    global _make_recorder
    if not traces_are_wanted(os.environ if environment is None else environment):
        return
    # In the master, so that its workers share the modules, and none imports them while a job waits.
    from darkroom.telemetry import births, recording

    births.watch()
    _make_recorder = partial(recording.make_recorder, service, tell)


def is_on() -> bool:
    return _make_recorder is not None


def span(
    name: str, attributes: Attributes | None = None, /, *, kind: Kind = "internal", **ours: Value | None
) -> AbstractContextManager[Span]:
    """A span of the current trace; of a new one when there is none."""
    if _make_recorder is None:
        return SILENT
    return _recording().span(name, attributes, ours, kind=kind, parent=tracing.current())


def entry(
    name: str,
    parent: TraceContext | None,
    attributes: Attributes | None = None,
    /,
    *,
    kind: Kind = "server",
    links: Sequence[TraceContext] = (),
    start_ns: int | None = None,
    **ours: Value | None,
) -> AbstractContextManager[Span]:
    """The span with which the work begins here that `parent`, of another process, asked for; None: a new trace.

    The block has a current trace in any case, recorded or not.
    """
    if _make_recorder is None:
        return unrecorded(parent)
    return _recording().span(name, attributes, ours, kind=kind, parent=parent, links=links, start_ns=start_ns)


def unrecorded(parent: TraceContext | None) -> AbstractContextManager[Span]:
    """The same without a span: what polls us every few seconds would drown what matters."""
    return _Unrecorded(parent or tracing.new_root())


def past(
    name: str,
    start_ns: int,
    end_ns: int,
    attributes: Attributes | None = None,
    /,
    *,
    kind: Kind = "internal",
    error: str | None = None,
    **ours: Value | None,
) -> None:
    """A span of the current trace that has ended already; times since the epoch. `error` is a code."""
    if _make_recorder is not None:
        _recording().past(name, start_ns, end_ns, attributes, ours, kind=kind, error=error)


def past_root(
    name: str, root: TraceContext, start_ns: int, end_ns: int, /, *, links: Sequence[TraceContext], **ours: Value | None
) -> None:
    """The first span of a trace whose ids were agreed on before."""
    if _make_recorder is not None:
        _recording().past_root(name, root, start_ns, end_ns, ours, links=links)


def finish() -> None:
    """Send what there is, within two seconds. A process that ends by itself does so at its exit."""
    if _recorder is not None:
        _recorder.close()


def wake() -> None:
    """Ahead of the first span: for servers, whose own thread must do it and whose first span may be another's."""
    if _make_recorder is not None:
        _recording()


def _recording() -> Recorder:
    global _recorder
    if _recorder is None:
        with _making:
            if _recorder is None:
                if _make_recorder is None:
                    raise RuntimeError("telemetry is off")
                _recorder = _make_recorder()
    return _recorder
