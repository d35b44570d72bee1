"""The JetStream channel of eventing-natss."""

from __future__ import annotations

from darkroom.manifests.platform.schema.eventing import DELIVERY
from darkroom.manifests.platform.schema.shape import (
    ANYTHING,
    FLAG,
    INT32,
    INTEGER_32,
    INTEGER_64,
    TEXT,
    TEXTS,
    List,
    Object,
    Whole,
)

_NOT_NEGATIVE = Whole(minimum=0)
_SOURCE = Object({"filterSubject": TEXT, "name": TEXT, "optStartSeq": _NOT_NEGATIVE, "optStartTime": TEXT})
STREAM = Object(
    {
        "additionalSubjects": TEXTS,
        "discard": TEXT,
        "duplicateWindow": TEXT,
        "maxAge": TEXT,
        "maxBytes": INTEGER_64,
        "maxConsumers": INTEGER_32,
        "maxMsgSize": INTEGER_32,
        "maxMsgs": INTEGER_64,
        "mirror": _SOURCE,
        "noAck": FLAG,
        "placement": Object({"cluster": TEXT, "tags": TEXTS}),
        "replicas": INTEGER_32,
        "retention": TEXT,
        "sources": List(of=_SOURCE),
        "storage": TEXT,
    }
)
CONSUMER = Object(
    {
        "ackWait": TEXT,
        "consumerType": TEXT,
        "deliverPolicy": TEXT,
        "fetchBatchSize": Whole(minimum=1, maximum=INT32),
        "fetchMaxWait": TEXT,
        "filterSubject": TEXT,
        "maxAckPending": INTEGER_32,
        "maxDeliver": INTEGER_32,
        "optStartSeq": _NOT_NEGATIVE,
        "optStartTime": TEXT,
        "rateLimitBPS": _NOT_NEGATIVE,
        "replayPolicy": TEXT,
        "sampleFrequency": TEXT,
    }
)
JETSTREAM_CHANNEL = Object(
    {
        "consumerConfigTemplate": CONSUMER,
        "delivery": DELIVERY,
        "deploymentSpecTemplate": Object(
            {
                "affinity": ANYTHING,
                "annotations": ANYTHING,
                "labels": ANYTHING,
                "nodeSelector": ANYTHING,
                "resources": ANYTHING,
            },
            required=("affinity",),
        ),
        "stream": Object({"config": STREAM, "overrideName": TEXT}),
        "subscribers": ANYTHING,
    }
)
