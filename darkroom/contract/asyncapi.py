"""The events of the pipeline as AsyncAPI 3, made from the same types as the HTTP API."""

from __future__ import annotations

from typing import Any

from darkroom import __version__
from darkroom.contract import events
from darkroom.contract.job_types import JOB_TYPES, NAMES
from darkroom.contract.schemas import Schema, components, reference

_USED = ("JobMessage", "JobInput", "JobMetadata", "JobType", "JobStatus", "JobFailure", "Job")

_WORKERS = ", ".join(NAMES)

# Type of event, who sends it, who takes it, what its data is.
_EVENTS: tuple[tuple[str, str, str, Schema], ...] = (
    *((kind.event_type, "ingest, recovery", kind.name, reference("JobMessage")) for kind in JOB_TYPES),
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
                "CloudEvents 1.0 through the Knative Broker `darkroom`. A sender emits at least once; whoever takes an "
                "event must bear its repetition. A repetition has the same id, a new emission of a job a new one."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"broker": {"address": "darkroom/darkroom", "messages": _messages()}},
        "operations": _operations(),
        "components": {
            "messages": {_key(kind): _message(kind, sender, taker, data) for kind, sender, taker, data in _EVENTS},
            "schemas": {**{name: named[name] for name in _USED}, "Rejection": rejection},
        },
    }


def _messages() -> Schema:
    return {_key(kind): {"$ref": f"#/components/messages/{_key(kind)}"} for kind, *_ in _EVENTS}


def _operations() -> Schema:
    return {
        f"send{_key(kind)}": {
            "action": "send",
            "channel": {"$ref": "#/channels/broker"},
            "messages": [{"$ref": f"#/channels/broker/messages/{_key(kind)}"}],
            "summary": f"{sender} to {taker}",
        }
        for kind, sender, taker, _ in _EVENTS
    }


def _message(kind: str, sender: str, taker: str, data: Schema) -> Schema:
    text = {"type": "string"}
    return {
        "name": kind,
        "title": kind,
        "summary": f"From {sender} to {taker}.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce-specversion", "ce-id", "ce-source", "ce-type"],
            "properties": {
                "ce-specversion": {"const": "1.0"},
                "ce-id": {**text, "description": "New for each emission."},
                "ce-source": {**text, "description": "/darkroom/<function>"},
                "ce-type": {"const": kind},
                "ce-subject": {**text, "description": "The job's id."},
                "ce-time": {**text, "format": "date-time"},
                "ce-dataschema": {**text, "format": "uri"},
                "ce-requestid": {**text, "description": "Of the request that made the job."},
                "ce-traceparent": text,
                "ce-tracestate": text,
            },
        },
        "payload": data,
    }


def _key(kind: str) -> str:
    """`dev.darkroom.resize.requested` as `ResizeRequested`."""
    return "".join(part.capitalize() for part in kind.removeprefix("dev.darkroom.").split("."))
