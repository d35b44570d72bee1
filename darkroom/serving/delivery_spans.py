"""The spans of one delivery: the trace it belongs to, the job's earlier waits, and attempts that left no span.

The record's trace decides. A context that came with the event becomes the parent if it is of that trace (locally, the
delivery's own span); otherwise it is linked, since brokers drop traces and some begin their own.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from datetime import datetime

from darkroom import telemetry
from darkroom.contract import traces
from darkroom.contract.errors import ImageCrashedError, JobTimeoutError
from darkroom.contract.jobs import Attempt, JobRecord
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.events.tracing import TraceContext
from darkroom.serving.event_spans import contexts_of, processing
from darkroom.telemetry import names

_LOST_CODES = {ImageCrashedError.code, JobTimeoutError.code}
"""The codes of attempts whose process was killed: their spans were lost with it."""


class Arrival:
    """A delivery whose job is not known yet. The claim comes first; the span is begun afterwards, with the arrival's
    time.
    """

    def __init__(self, event: CloudEvent) -> None:
        """Create within the trace of the request that brought the event, which is the current one."""
        self.event = event
        self.at_ns = time.time_ns()
        self._contexts = contexts_of(event)

    def processing(self, record: JobRecord | None) -> AbstractContextManager[telemetry.Span]:
        """Open the span of all processing of the event; without a record, in the trace in which it came."""
        parent, links = self._place(record)
        return processing(self.event, parent, links=links, start_ns=self.at_ns)

    def _place(self, record: JobRecord | None) -> tuple[TraceContext | None, list[TraceContext]]:
        of_job = None if record is None else traces.of_job(record.trace, record.redrives)
        if of_job is None:
            return next(iter(self._contexts), None), []
        same = [context for context in self._contexts if context.trace_id == of_job.trace_id]
        others = [context for context in self._contexts if context.trace_id != of_job.trace_id]
        return next(iter(same), of_job), others


def record_wait(arrival: Arrival, span: telemetry.Span, record: JobRecord) -> None:
    """Record how long a job that has just been claimed was waiting, and how much of that was a cold start."""
    if not telemetry.is_on():
        return
    claimed_ns = time.time_ns()
    telemetry.past("claim", arrival.at_ns, claimed_ns)
    reported, lost = _earlier_attempts(arrival, record)
    if record.redrives and not reported:
        _record_redrive(arrival, record, claimed_ns)
    waiting_ns = _ns(reported[-1].ended_at) if reported else _ns(_queued_at(arrival, record))
    for attempt in lost:
        began_ns, ended_ns = _ns(attempt.started_at), _ns(attempt.ended_at)
        telemetry.past("queued", waiting_ns, began_ns, fence=attempt.fence)
        telemetry.past(
            "attempt lost", began_ns, ended_ns, error=attempt.code, fence=attempt.fence, worker=attempt.worker
        )
        waiting_ns = ended_ns
    telemetry.past("queued", waiting_ns, claimed_ns, fence=record.fence, emission=record.emissions)
    span.set({names.FAAS_COLDSTART: _record_cold_start(waiting_ns)}, attempt=record.attempts, fence=record.fence)
    span.set(job_id=str(record.job_id), job_type=record.type, cost_class=record.cost_class)


def _earlier_attempts(arrival: Arrival, record: JobRecord) -> tuple[list[Attempt], list[Attempt]]:
    """Return the attempts that ended before this one, oldest first, in two lists: those that their own workers
    reported, then the latest ones whose workers died.
    """
    since = _queued_at(arrival, record)
    reported = [attempt for attempt in record.history if attempt.ended_at is not None and attempt.started_at >= since]
    lost: list[Attempt] = []
    while reported and reported[-1].code in _LOST_CODES:
        lost.insert(0, reported.pop())
    return reported, lost


def _queued_at(arrival: Arrival, record: JobRecord) -> datetime:
    """Return when the job was queued. For a redriven job that is its redrive, best approximated by the time of its
    event.
    """
    return record.created_at if record.redrives == 0 else arrival.event.time or record.created_at


def _record_redrive(arrival: Arrival, record: JobRecord, claimed_ns: int) -> None:
    """Record the first span of the new trace, which links to the job's original one."""
    root, first = traces.of_job(record.trace, record.redrives), tracing.parse(record.trace)
    if root is None or first is None:
        return
    began_ns = min(_ns(_queued_at(arrival, record)), claimed_ns)
    telemetry.past_root("redriven", root, began_ns, claimed_ns, links=[first], redrives=record.redrives)


def _record_cold_start(waiting_ns: int) -> bool:
    """Record the cold start, and return whether there was one: whether this is the first job of a process that was
    started while the job was waiting.
    """
    from darkroom.telemetry import instance_start

    birth = instance_start.take()
    if birth is None or birth.started_ns < waiting_ns:
        return False
    telemetry.past("cold start", birth.started_ns, birth.ready_ns, {names.FAAS_COLDSTART: True})
    return True


def _ns(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1_000_000_000)
