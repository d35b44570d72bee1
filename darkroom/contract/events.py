"""The events of the pipeline, and how a job record becomes one. The Triggers define who receives which.

The types of the events that request a job are in the table of job types.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from darkroom.contract import traces
from darkroom.contract.job_types import job_type_named
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent, json_object, new_event

JOB_COMPLETED = "dev.darkroom.job.completed"
JOB_FAILED = "dev.darkroom.job.failed"
EVENT_REJECTED = "dev.darkroom.event.rejected"
WEBHOOK_DUE = "dev.darkroom.webhook.due"
WEBHOOKS_EXTENSION = "webhooks"
"""On events that say that webhooks may be due: the ids of the endpoints, separated by commas."""

_TRACE_EXTENSIONS = (tracing.TRACEPARENT, tracing.TRACESTATE)

SCHEMA_BASE = "https://darkroom.dev/schemas/"


def requested(record: JobRecord, *, source: str) -> CloudEvent:
    """Build the event that requests the job; its id is that of the record's current emission."""
    return new_event(
        job_type_named(record.type).event_type,
        source,
        record.message.model_dump(mode="json"),
        id=record.event_id(),
        subject=str(record.job_id),
        dataschema=f"{SCHEMA_BASE}job-message/1",
        extensions={"requestid": record.request_id, "costclass": record.cost_class, **_trace(record)},
    )


def ended(record: JobRecord, *, source: str) -> CloudEvent:
    """Build the event that reports the job's end. It never has a signed URL, since events outlive it."""
    return new_event(
        JOB_COMPLETED if record.status is JobStatus.COMPLETED else JOB_FAILED,
        source,
        record.view(),
        subject=str(record.job_id),
        dataschema=f"{SCHEMA_BASE}job/1",
        extensions={"requestid": record.request_id, **_trace(record), **_webhooks(record.told)},
    )


def webhook_due(endpoint_id: str, *, source: str) -> CloudEvent:
    """Build the event that wakes whoever sends webhooks: some are due to the endpoint."""
    return new_event(
        WEBHOOK_DUE,
        source,
        {"endpoint_id": endpoint_id},
        subject=endpoint_id,
        dataschema=f"{SCHEMA_BASE}webhook-due/1",
        extensions=_webhooks((endpoint_id,)),
    )


def webhook_endpoints(event: CloudEvent) -> tuple[str, ...]:
    """Return the ids of the endpoints to which webhooks may be due, as the event says."""
    return tuple(part for part in str(event.extensions.get(WEBHOOKS_EXTENSION, "")).split(",") if part)


def rejected(event: CloudEvent, reason: str, *, source: str) -> CloudEvent:
    """Build the event that sends one that can never be handled, with the reason, to recovery."""
    data: dict[str, Any] = {"event": json_object(event), "reason": reason}
    return new_event(
        EVENT_REJECTED,
        source,
        data,
        subject=event.subject,
        dataschema=f"{SCHEMA_BASE}rejection/1",
        extensions={name: event.extensions[name] for name in _TRACE_EXTENSIONS if name in event.extensions},
    )


def _webhooks(endpoint_ids: tuple[str, ...]) -> dict[str, str]:
    return {WEBHOOKS_EXTENSION: ",".join(endpoint_ids)} if endpoint_ids else {}


def _trace(record: JobRecord) -> dict[str, str]:
    """Return the job's own trace, whoever emits the event: brokers may have dropped it on the way here."""
    of_job = traces.of_job(record.trace, record.redrives)
    if of_job is None:
        return {}
    current = tracing.current()
    if current is not None and current.trace_id == of_job.trace_id:
        of_job = replace(of_job, tracestate=current.tracestate)
    return of_job.attributes()
