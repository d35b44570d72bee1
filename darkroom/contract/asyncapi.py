"""The events of the pipeline as AsyncAPI 3, generated from the same types as the HTTP API."""

from __future__ import annotations

from typing import Any

from darkroom import __version__
from darkroom.contract import events
from darkroom.contract.job_types import JOB_TYPES, NAMES
from darkroom.contract.schemas import Schema, components, reference
from darkroom.contract.webhooks import ENDPOINT_ID

_USED = ("JobMessage", "JobInput", "JobMetadata", "JobType", "JobStatus", "JobFailure", "Job", "PresetUse")

_WORKERS = ", ".join(NAMES)

# Event type, sender, receiver, schema of the data.
_EVENTS: tuple[tuple[str, str, str, Schema], ...] = (
    *((job.event_type, "ingest, recovery", job.name, reference("JobMessage")) for job in JOB_TYPES),
    (events.JOB_COMPLETED, _WORKERS, "notify, whoever subscribes", reference("Job")),
    (events.JOB_FAILED, f"{_WORKERS}, recovery", "notify, whoever subscribes", reference("Job")),
    (events.WEBHOOK_DUE, "recovery", "notify", reference("WebhookDue")),
    (events.EVENT_REJECTED, _WORKERS, "recovery", reference("Rejection")),
)


_WEBHOOK: Schema = {
    "name": "webhook",
    "title": "The end of a job, told to an endpoint",
    "summary": "From notify to the endpoints of the job's key. The same webhook-id is the same message.",
    "contentType": "application/json",
    "headers": {
        "type": "object",
        "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
        "properties": {
            "webhook-id": {"type": "string", "description": "The same over all tries; new for each end of a job."},
            "webhook-timestamp": {"type": "string", "description": "When it was sent, in seconds since the epoch."},
            "webhook-signature": {
                "type": "string",
                "description": "v1, and the base64 of an HMAC-SHA256; two of them, separated by a space, while secrets "
                "rotate.",
            },
        },
    },
    "payload": reference("Job"),
}
_WEBHOOK_OPERATION: Schema = {
    "action": "send",
    "channel": {"$ref": "#/channels/webhook"},
    "messages": [{"$ref": "#/channels/webhook/messages/Webhook"}],
    "summary": "notify to the endpoints of the job's key",
}


def asyncapi() -> dict[str, Any]:
    named = components()
    rejection = {
        "type": "object",
        "required": ["event", "reason"],
        "properties": {"event": {"type": "object"}, "reason": {"type": "string"}},
        "additionalProperties": False,
    }
    webhook_due = {
        "type": "object",
        "required": ["endpoint_id"],
        "properties": {"endpoint_id": {"type": "string", "pattern": f"^{ENDPOINT_ID}$"}},
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
        "channels": {
            "broker": {"address": "darkroom/darkroom", "messages": _messages()},
            "webhook": {
                "address": None,
                "description": "A POST to the URL of an endpoint, by the Standard Webhooks specification.",
                "messages": {"Webhook": {"$ref": "#/components/messages/Webhook"}},
            },
        },
        "operations": {**_operations(), "sendWebhook": _WEBHOOK_OPERATION},
        "components": {
            "messages": {
                _key(event_type): _message(event_type, sender, receiver, data)
                for event_type, sender, receiver, data in _EVENTS
            }
            | {"Webhook": _WEBHOOK},
            "schemas": {**{name: named[name] for name in _USED}, "Rejection": rejection, "WebhookDue": webhook_due},
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
                "ce-webhooks": {
                    **text,
                    "description": "The ids of the webhook endpoints that are told, separated by commas; only where "
                    "there are any.",
                },
                "ce-traceparent": text,
                "ce-tracestate": text,
            },
        },
        "payload": data,
    }


def _key(event_type: str) -> str:
    """Convert `dev.darkroom.resize.requested` to `ResizeRequested`."""
    return "".join(part.capitalize() for part in event_type.removeprefix("dev.darkroom.").split("."))
