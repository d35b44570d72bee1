"""The trace of a job, which outlives every process that works on it."""

from __future__ import annotations

import hashlib

from darkroom.events.tracing import TraceContext, parse


def of_job(trace: str, redrives: int) -> TraceContext | None:
    """The parent of everything that is done for a job: the span that accepted it, which its record remembers.

    A redrive begins a trace of its own, which is the same for all who ask: its ids follow from the first one's, so that
    whoever emits the job, and whichever worker takes it, need not tell each other.
    """
    first = parse(trace)
    if first is None or redrives == 0:
        return first
    digest = hashlib.sha256(f"{first.trace_id}/{redrives}".encode()).hexdigest()
    return TraceContext(trace_id=digest[:32], span_id=digest[32:48], flags=first.flags)
