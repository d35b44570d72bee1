"""The steps of an attempt, and what they leave: timings, spans, stored results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from darkroom import telemetry
from darkroom.contract.jobs import JobResult
from darkroom.imaging import Rendition


class LeaseLostError(Exception):
    """Another worker has claimed the job, or it has ended."""


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What an attempt stored, and the time it took."""

    result: JobResult | None
    """None for a job with several results, which the record has already."""
    timings_ms: dict[str, int]
    """By step, as the job's status shows them."""
    render_cpu_ms: float
    """CPU time of this process during the render. If it is much less than `render`, others used the cores."""


@contextmanager
def step(timings_ms: dict[str, int], name: str) -> Iterator[telemetry.Span]:
    """Time a step, in a span of its own; the same step again adds to its time."""
    started = time.monotonic()
    with telemetry.span(name) as span:
        yield span
    timings_ms[name] = timings_ms.get(name, 0) + round((time.monotonic() - started) * 1000)


def result_of(key: str, rendition: Rendition) -> JobResult:
    return JobResult(
        storage_key=key,
        content_type=rendition.content_type,
        width=rendition.width,
        height=rendition.height,
        bytes=len(rendition.body),
        placeholder=rendition.placeholder,
    )
