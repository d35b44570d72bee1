"""The trace of a job, which outlives every process that works on it."""

from __future__ import annotations

import hashlib

from darkroom.events.tracing import TraceContext, parse


def of_job(trace: str, redrives: int) -> TraceContext | None:
    """Return the parent of all spans of a job: the span that accepted it, which its record stores.

    A redrive begins a trace of its own. Its ids are derived from the first trace's, so that the emitter and the workers
    arrive at the same ones without communicating.
    """
    first = parse(trace)
    if first is None or redrives == 0:
        return first
    digest = hashlib.sha256(f"{first.trace_id}/{redrives}".encode()).hexdigest()
    return TraceContext(trace_id=digest[:32], span_id=digest[32:48], flags=first.flags)
