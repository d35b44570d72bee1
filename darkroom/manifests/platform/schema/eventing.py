"""Knative Eventing: Broker, Trigger, Channel, Subscription, PingSource, SinkBinding."""

from __future__ import annotations

from darkroom.manifests.platform.schema.shape import (
    ANYTHING,
    INTEGER_32,
    TEXT,
    TEXT_MAP,
    TEXTS,
    List,
    Object,
    Recursive,
)

REFERENCE = Object({"address": TEXT, "apiVersion": TEXT, "group": TEXT, "kind": TEXT, "name": TEXT, "namespace": TEXT})
DESTINATION = Object({"ref": REFERENCE, "uri": TEXT, "CACerts": TEXT, "audience": TEXT})
DELIVERY = Object(
    {
        "backoffDelay": TEXT,
        "backoffPolicy": TEXT,
        "deadLetterSink": DESTINATION,
        "format": TEXT,
        "retry": INTEGER_32,
        "retryAfterMax": TEXT,
        "timeout": TEXT,
    }
)
_FILTER = Recursive()
FILTER = Object(
    {
        "exact": TEXT_MAP,
        "prefix": TEXT_MAP,
        "suffix": TEXT_MAP,
        "all": List(of=_FILTER),
        "any": List(of=_FILTER),
        "not": _FILTER,
        "cesql": TEXT,
    }
)
_FILTER.shape = FILTER

BROKER = Object({"config": REFERENCE, "delivery": DELIVERY})
TRIGGER = Object(
    {
        "broker": TEXT,
        "brokerRef": REFERENCE,
        "delivery": DELIVERY,
        "filter": Object({"attributes": TEXT_MAP}),
        "filters": List(of=FILTER),
        "subscriber": DESTINATION,
    }
)
_CHANNEL_TEMPLATE = Object({"apiVersion": TEXT, "kind": TEXT, "spec": ANYTHING})
# The controllers fill in `subscribers`.
CHANNEL = Object({"channelTemplate": _CHANNEL_TEMPLATE, "delivery": DELIVERY, "subscribers": ANYTHING})
SUBSCRIPTION = Object({"channel": REFERENCE, "delivery": DELIVERY, "reply": DESTINATION, "subscriber": DESTINATION})
_STEP = Object({**DESTINATION.fields, "delivery": DELIVERY})
SEQUENCE = Object({"channelTemplate": _CHANNEL_TEMPLATE, "reply": DESTINATION, "steps": List(of=_STEP)})
_BRANCH = Object({"delivery": DELIVERY, "filter": DESTINATION, "reply": DESTINATION, "subscriber": DESTINATION})
PARALLEL = Object({"branches": List(of=_BRANCH), "channelTemplate": _CHANNEL_TEMPLATE, "reply": DESTINATION})
_OVERRIDES = Object({"extensions": TEXT_MAP})
PING_SOURCE = Object(
    {
        "ceOverrides": _OVERRIDES,
        "contentType": TEXT,
        "data": TEXT,
        "dataBase64": TEXT,
        "schedule": TEXT,
        "sink": DESTINATION,
        "timezone": TEXT,
    }
)
_SELECTOR = Object(
    {
        "matchExpressions": List(of=Object({"key": TEXT, "operator": TEXT, "values": TEXTS})),
        "matchLabels": TEXT_MAP,
    }
)
API_SERVER_SOURCE = Object(
    {
        "ceOverrides": _OVERRIDES,
        "filters": List(of=FILTER),
        "mode": TEXT,
        "namespaceSelector": _SELECTOR,
        "owner": Object({"apiVersion": TEXT, "kind": TEXT}),
        "resources": List(of=Object({"apiVersion": TEXT, "kind": TEXT, "selector": _SELECTOR})),
        "serviceAccountName": TEXT,
        "sink": DESTINATION,
    },
    required=("resources",),
)
_SUBJECT = Object({"apiVersion": TEXT, "kind": TEXT, "name": TEXT, "namespace": TEXT, "selector": _SELECTOR})
SINK_BINDING = Object({"ceOverrides": _OVERRIDES, "sink": DESTINATION, "subject": _SUBJECT})
