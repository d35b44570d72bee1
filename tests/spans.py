"""Spans recorded in the tests' own process: telemetry is on in the block, and what ends is found in a list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from darkroom import telemetry
from darkroom.telemetry.recording import Recorder


class Recorded:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        found = self.named(name)
        assert len(found) == 1, f"{len(found)} spans {name!r} among {[span.name for span in self.spans]}"
        return found[0]

    def parent_of(self, span: ReadableSpan) -> str:
        """The name of its parent; empty when that is not of this process."""
        parent = span.parent
        names = {one.context.span_id: one.name for one in self.spans if one.context is not None}
        return "" if parent is None else names.get(parent.span_id, "")


@contextmanager
def recorded_spans(service: str = "test") -> Iterator[Recorded]:
    exporter = InMemorySpanExporter()
    recorder = Recorder(service, SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry, "_make_recorder", lambda: recorder)
        patch.setattr(telemetry, "_recorder", recorder)
        yield Recorded(exporter)
    recorder.close()


def trace_id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def milliseconds_of(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e6
