"""What the API says about a single job beyond what lists say: its parameters, what it waits for, its attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from darkroom.contract import traces
from darkroom.contract.jobs import Attempt, JobRecord, JobStatus, timestamp

WAITING_CODES = ("lane", "broker", "function", "retry", "attempt", "lease")
"""What an unfinished job can wait for.

lane: as many jobs of its kind as may be are with the Broker, and keys take turns. broker: the Broker has not taken its
event yet. function: the Broker has it, and no instance has claimed the job yet. retry: an attempt has ended without a
result, and the next one is due. attempt: an instance works on it. lease: the instance that worked on it has not been
heard of; recovery takes the job back.
"""


def details(record: JobRecord, *, now: datetime) -> dict[str, Any]:
    """Return the fields that only a request for one job gets. `waiting_for` is there until the job is final."""
    shown: dict[str, Any] = {"parameters": record.parameters, "cost_class": record.cost_class}
    waiting = waiting_for(record, now=now)
    if waiting is not None:
        shown["waiting_for"] = waiting
    trace = traces.of_job(record.trace, record.redrives)
    if trace is not None:
        shown["trace_id"] = trace.trace_id
    shown["attempts_log"] = [_attempt(attempt) for attempt in record.history]
    return shown


def waiting_for(record: JobRecord, *, now: datetime) -> dict[str, str] | None:
    """Return what the job waits for: a code, a sentence, and since when. None if it is final."""
    if record.status.is_final:
        return None
    if record.in_lane:
        sentence = "the Broker has as many jobs of this kind as its window allows; keys that wait for room take turns"
        return _waiting("lane", sentence, record.created_at)
    last = record.history[-1] if record.history else None
    if record.status is JobStatus.PROCESSING:
        return _under_way(record, last, now)
    if last is not None and last.ended_at is not None and last.code is not None:
        reason = f"attempt {last.fence} ended with {last.code}; the next one is due"
        return _waiting("retry", reason, last.ended_at)
    if record.confirmed < record.emissions:
        return _waiting("broker", "the Broker has not taken its event yet; recovery sends it again", record.created_at)
    emissions = "" if record.emissions == 1 else f" (sent {record.emissions} times)"
    sentence = f"its event is with the Broker{emissions}; no instance of {record.type} has claimed it yet"
    return _waiting("function", sentence, record.created_at)


def _under_way(record: JobRecord, last: Attempt | None, now: datetime) -> dict[str, str]:
    worker = record.worker or "an instance"
    since = last.started_at if last is not None else record.started_at or record.created_at
    if record.lease_until is not None and record.lease_until < now:
        sentence = f"{worker} has not been heard of since it worked on it; recovery takes the job back"
        return _waiting("lease", sentence, record.lease_until)
    return _waiting("attempt", f"{worker} works on it, attempt {record.attempts}", since)


def _waiting(code: str, sentence: str, since: datetime) -> dict[str, str]:
    return {"code": code, "sentence": sentence, "since": timestamp(since)}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.fence,
        "instance": attempt.worker,
        "began": timestamp(attempt.started_at),
        "ended": None if attempt.ended_at is None else timestamp(attempt.ended_at),
        "code": attempt.code,
    }
