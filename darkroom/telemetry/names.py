"""Names of attributes by OpenTelemetry's semantic conventions: those that we use, without the package of all.

Names of our own are given by keyword to `telemetry.span` and stand nowhere else.
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


def of_event(event: CloudEvent) -> dict[str, str]:
    attributes = {_EVENT_ID: event.id, _EVENT_SOURCE: event.source, _EVENT_TYPE: event.type}
    return attributes if event.subject is None else {**attributes, _EVENT_SUBJECT: event.subject}


def method_label(method: str) -> str:
    """As OpenTelemetry's semantic conventions have it: what strangers make up is `_OTHER`."""
    return method if method in _METHODS else "_OTHER"
