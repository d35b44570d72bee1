"""The channel template in a Broker's ConfigMap: the JetStream stream and the consumers behind the Broker.

The stream's settings belong under `spec.stream.config`. Directly under `spec.stream` a cluster silently ignores them,
so they are refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from darkroom.events.durations import parse_go
from darkroom.manifests.model import GoDuration, Strict

Retention: TypeAlias = Literal["Limits", "Interest", "Work"]
Storage: TypeAlias = Literal["File", "Memory"]
Discard: TypeAlias = Literal["Old", "New"]
DeliverPolicy: TypeAlias = Literal["All", "Last", "New"]


@dataclass(frozen=True, kw_only=True)
class ChannelTemplate:
    """Settings of a Broker's stream and consumers, with the defaults of NatsJetStreamChannel."""

    retention: Retention = "Limits"
    storage: Storage = "File"
    replicas: int = 1
    max_age_s: float = 0.0
    """0: unlimited."""
    max_bytes: int = -1
    """-1: no limit."""
    max_messages: int = -1
    """-1: no limit."""
    max_message_bytes: int = -1
    """-1: only the server's limit."""
    discard: Discard = "Old"
    duplicate_window_s: float = 120.0
    deliver_policy: DeliverPolicy = "All"
    ack_wait_s: float = 30.0
    max_ack_pending: int = 1000
    deduplicate: bool = True
    """Drop an event whose id came within the duplicate window. Only JetStream channels do that on a cluster."""


Count = Annotated[int, Field(ge=-1)]


class StreamConfig(Strict):
    retention: Retention = "Limits"
    storage: Storage = "File"
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    max_age: GoDuration = "0"
    max_bytes: Count = -1
    max_msgs: Count = -1
    max_msg_size: Count = -1
    discard: Discard = "Old"
    duplicate_window: GoDuration = "2m"


class Stream(Strict):
    refused: ClassVar[dict[str, str]] = dict.fromkeys(
        (field.alias or name for name, field in StreamConfig.model_fields.items()),
        "a cluster ignores it here in silence; put it under stream.config",
    )

    config: StreamConfig = Field(default_factory=StreamConfig)


class ConsumerConfig(Strict):
    ignored: ClassVar[dict[str, str]] = {
        "maxDeliver": "it is the Trigger's retry + 1; set delivery.retry",
        "filterSubject": "a Trigger's filters do this",
    }

    consumer_type: Literal["Push"] = "Push"
    """Pull is refused: with it, a Broker's second Trigger never receives events."""
    deliver_policy: DeliverPolicy = "All"
    ack_wait: GoDuration = "30s"
    max_ack_pending: Annotated[int, Field(ge=1)] = 1000

    @model_validator(mode="after")
    def _ack_wait_is_long_enough(self) -> ConsumerConfig:
        if parse_go(self.ack_wait) < 1:
            raise ValueError(f"ackWait must be at least 1s, was {self.ack_wait}")
        return self


class ChannelSpec(Strict):
    stream: Stream = Field(default_factory=Stream)
    consumer_config_template: ConsumerConfig = Field(default_factory=ConsumerConfig)

    def template(self) -> ChannelTemplate:
        stream, consumer = self.stream.config, self.consumer_config_template
        return ChannelTemplate(
            retention=stream.retention,
            storage=stream.storage,
            replicas=stream.replicas,
            max_age_s=parse_go(stream.max_age),
            max_bytes=stream.max_bytes,
            max_messages=stream.max_msgs,
            max_message_bytes=stream.max_msg_size,
            discard=stream.discard,
            duplicate_window_s=parse_go(stream.duplicate_window),
            deliver_policy=consumer.deliver_policy,
            ack_wait_s=parse_go(consumer.ack_wait),
            max_ack_pending=consumer.max_ack_pending,
        )


class ChannelManifest(Strict):
    api_version: Literal["messaging.knative.dev/v1alpha1"]
    kind: Literal["NatsJetStreamChannel"]
    spec: ChannelSpec = Field(default_factory=ChannelSpec)

    def template(self) -> ChannelTemplate:
        return self.spec.template()
