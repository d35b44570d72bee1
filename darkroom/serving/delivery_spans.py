"""The spans of one delivery: which trace it belongs to, what the job waited for before, and what nobody could tell.

The record's trace decides. What came with the event is its parent where it is of that trace (the delivery's own span,
locally), else it is linked: brokers drop traces, and some begin their own.
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

_SILENT_ENDS = {ImageCrashedError.code, JobTimeoutError.code}
"""Of attempts whose process was killed: their spans died with it."""


class Arrival:
    """A delivery whose job is not known yet. The claim comes first; then its span is begun, as of then."""

    def __init__(self, event: CloudEvent) -> None:
        """In the trace of the request that brought it, which is the current one."""
        self.event = event
        self.at_ns = time.time_ns()
        self._came_with = contexts_of(event)

    def processing(self, record: JobRecord | None) -> AbstractContextManager[telemetry.Span]:
        """The span of all that is done with the event; without a record, in whichever trace it came."""
        parent, links = self._place(record)
        return processing(self.event, parent, links=links, start_ns=self.at_ns)

    def _place(self, record: JobRecord | None) -> tuple[TraceContext | None, list[TraceContext]]:
        of_job = None if record is None else traces.of_job(record.trace, record.redrives)
        if of_job is None:
            return next(iter(self._came_with), None), []
        same = [context for context in self._came_with if context.trace_id == of_job.trace_id]
        others = [context for context in self._came_with if context.trace_id != of_job.trace_id]
        return next(iter(same), of_job), others


def tell_of_the_wait(arrival: Arrival, span: telemetry.Span, record: JobRecord) -> None:
    """Of a job that has just been claimed: how long it lay there, and what of it was a cold start."""
    if not telemetry.is_on():
        return
    claimed_ns = time.time_ns()
    telemetry.past("claim", arrival.at_ns, claimed_ns)
    told, untold = _earlier_attempts(arrival, record)
    if record.redrives and not told:
        _tell_of_the_redrive(arrival, record, claimed_ns)
    waiting_ns = _ns(told[-1].ended_at) if told else _ns(_queued_at(arrival, record))
    for attempt in untold:
        began_ns, ended_ns = _ns(attempt.started_at), _ns(attempt.ended_at)
        telemetry.past("queued", waiting_ns, began_ns, fence=attempt.fence)
        telemetry.past(
            "attempt lost", began_ns, ended_ns, error=attempt.code, fence=attempt.fence, worker=attempt.worker
        )
        waiting_ns = ended_ns
    telemetry.past("queued", waiting_ns, claimed_ns, fence=record.fence, emission=record.emissions)
    span.set({names.FAAS_COLDSTART: _tell_of_the_cold_start(waiting_ns)}, attempt=record.attempts, fence=record.fence)
    span.set(job_id=str(record.job_id), job_type=record.type, cost_class=record.cost_class)


def _earlier_attempts(arrival: Arrival, record: JobRecord) -> tuple[list[Attempt], list[Attempt]]:
    """Those that ended before this one began, oldest first: told of by their own workers, and then the latest ones that
    ended without a word."""
    since = _queued_at(arrival, record)
    told = [attempt for attempt in record.history if attempt.ended_at is not None and attempt.started_at >= since]
    untold: list[Attempt] = []
    while told and told[-1].code in _SILENT_ENDS:
        untold.insert(0, told.pop())
    return told, untold


def _queued_at(arrival: Arrival, record: JobRecord) -> datetime:
    """A redriven job lies there since its redrive, which the time of its event tells best."""
    return record.created_at if record.redrives == 0 else arrival.event.time or record.created_at


def _tell_of_the_redrive(arrival: Arrival, record: JobRecord, claimed_ns: int) -> None:
    """The first span of the new trace, which links to the one of the job's first life."""
    root, first = traces.of_job(record.trace, record.redrives), tracing.parse(record.trace)
    if root is None or first is None:
        return
    began_ns = min(_ns(_queued_at(arrival, record)), claimed_ns)
    telemetry.past_root("redriven", root, began_ns, claimed_ns, links=[first], redrives=record.redrives)


def _tell_of_the_cold_start(waiting_ns: int) -> bool:
    """Whether this is the first job of a process that was started while the job lay there."""
    from darkroom.telemetry import instance_start

    birth = instance_start.take()
    if birth is None or birth.started_ns < waiting_ns:
        return False
    telemetry.past("cold start", birth.started_ns, birth.ready_ns, {names.FAAS_COLDSTART: True})
    return True


def _ns(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1_000_000_000)
