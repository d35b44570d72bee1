"""The attribute names from OpenTelemetry's semantic conventions that we use, without the package that has them all.

Our own attributes are passed by keyword to `telemetry.span` and are not listed anywhere.
"""

from __future__ import annotations

from darkroom.events.cloudevents import CloudEvent

ERROR_TYPE = "error.type"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"

FAAS_COLDSTART = "faas.coldstart"
FAAS_INSTANCE = "faas.instance"
FAAS_NAME = "faas.name"
FAAS_TRIGGER = "faas.trigger"
FAAS_VERSION = "faas.version"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_SUBSCRIPTION = "messaging.destination.subscription.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"

RPC_SYSTEM = "rpc.system"
RPC_SERVICE = "rpc.service"
RPC_METHOD = "rpc.method"
S3_BUCKET = "aws.s3.bucket"
S3_KEY = "aws.s3.key"

SERVICE_INSTANCE = "service.instance.id"
SERVICE_NAME = "service.name"
SERVICE_NAMESPACE = "service.namespace"
SERVICE_VERSION = "service.version"

_EVENT_ID = "cloudevents.event_id"
_EVENT_SOURCE = "cloudevents.event_source"
_EVENT_TYPE = "cloudevents.event_type"
_EVENT_SUBJECT = "cloudevents.event_subject"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


def event_attributes(event: CloudEvent) -> dict[str, str]:
    """Return the span attributes that describe an event."""
    attributes = {_EVENT_ID: event.id, _EVENT_SOURCE: event.source, _EVENT_TYPE: event.type}
    return attributes if event.subject is None else {**attributes, _EVENT_SUBJECT: event.subject}


def method_label(method: str) -> str:
    """Return the method, or `_OTHER` for an unknown one, as OpenTelemetry's semantic conventions require."""
    return method if method in _METHODS else "_OTHER"
