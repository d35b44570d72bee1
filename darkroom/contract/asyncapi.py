"""The events of the pipeline as AsyncAPI 3, generated from the same types as the HTTP API."""

from __future__ import annotations

from typing import Any

from darkroom import __version__
from darkroom.contract import events
from darkroom.contract.job_types import JOB_TYPES, NAMES
from darkroom.contract.schemas import Schema, components, reference

_USED = ("JobMessage", "JobInput", "JobMetadata", "JobType", "JobStatus", "JobFailure", "Job", "PresetUse")

_WORKERS = ", ".join(NAMES)

# Event type, sender, receiver, schema of the data.
_EVENTS: tuple[tuple[str, str, str, Schema], ...] = (
    *((job.event_type, "ingest, recovery", job.name, reference("JobMessage")) for job in JOB_TYPES),
    (events.JOB_COMPLETED, _WORKERS, "whoever subscribes", reference("Job")),
    (events.JOB_FAILED, f"{_WORKERS}, recovery", "whoever subscribes", reference("Job")),
    (events.EVENT_REJECTED, _WORKERS, "recovery", reference("Rejection")),
)


def asyncapi() -> dict[str, Any]:
    named = components()
    rejection = {
        "type": "object",
        "required": ["event", "reason"],
        "properties": {"event": {"type": "object"}, "reason": {"type": "string"}},
        "additionalProperties": False,
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Darkroom's events",
            "version": __version__,
            "description": (
                "CloudEvents 1.0 through the Knative Broker `darkroom`. Senders emit at least once, so receivers must "
                "tolerate repetition. A repetition has the same id; a new emission of a job has a new one."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"broker": {"address": "darkroom/darkroom", "messages": _messages()}},
        "operations": _operations(),
        "components": {
            "messages": {
                _key(event_type): _message(event_type, sender, receiver, data)
                for event_type, sender, receiver, data in _EVENTS
            },
            "schemas": {**{name: named[name] for name in _USED}, "Rejection": rejection},
        },
    }


def _messages() -> Schema:
    return {_key(event_type): {"$ref": f"#/components/messages/{_key(event_type)}"} for event_type, *_ in _EVENTS}


def _operations() -> Schema:
    return {
        f"send{_key(event_type)}": {
            "action": "send",
            "channel": {"$ref": "#/channels/broker"},
            "messages": [{"$ref": f"#/channels/broker/messages/{_key(event_type)}"}],
            "summary": f"{sender} to {receiver}",
        }
        for event_type, sender, receiver, _ in _EVENTS
    }


def _message(event_type: str, sender: str, receiver: str, data: Schema) -> Schema:
    text = {"type": "string"}
    return {
        "name": event_type,
        "title": event_type,
        "summary": f"From {sender} to {receiver}.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce-specversion", "ce-id", "ce-source", "ce-type"],
            "properties": {
                "ce-specversion": {"const": "1.0"},
                "ce-id": {**text, "description": "New for each emission."},
                "ce-source": {**text, "description": "/darkroom/<function>"},
                "ce-type": {"const": event_type},
                "ce-subject": {**text, "description": "The job's id."},
                "ce-time": {**text, "format": "date-time"},
                "ce-dataschema": {**text, "format": "uri"},
                "ce-requestid": {**text, "description": "The id of the request that made the job."},
                "ce-traceparent": text,
                "ce-tracestate": text,
            },
        },
        "payload": data,
    }


def _key(event_type: str) -> str:
    """Convert `dev.darkroom.resize.requested` to `ResizeRequested`."""
    return "".join(part.capitalize() for part in event_type.removeprefix("dev.darkroom.").split("."))
