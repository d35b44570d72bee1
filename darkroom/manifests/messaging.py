"""Knative's channels and what is built of them: Channel, Subscription, Sequence and Parallel.

Every kind of channel runs on JetStream here. `ChannelTemplate` says with which settings: those of NatsJetStreamChannel
as they are, for the others what comes nearest to their own behaviour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from darkroom.events.durations import parse_iso
from darkroom.manifests.channel import ChannelSpec, ChannelTemplate
from darkroom.manifests.eventing import Delivery
from darkroom.manifests.model import (
    Destination,
    FieldProblem,
    Metadata,
    NonEmpty,
    Period,
    Reference,
    Resource,
    SinkReference,
    Strict,
    raise_problems,
)

MESSAGING = "messaging.knative.dev/v1"
JETSTREAM = "messaging.knative.dev/v1alpha1"
FLOWS = "flows.knative.dev/v1"
KAFKA_VERSIONS = ("messaging.knative.dev/v1beta1", "messaging.knative.dev/v1")
SCOPE = "eventing.knative.dev/scope"
JETSTREAM_KIND = "NatsJetStreamChannel"
CHANNEL_KINDS = ("Channel", "InMemoryChannel", JETSTREAM_KIND, "KafkaChannel")

_IN_MEMORY = ChannelTemplate(retention="Interest", storage="Memory", deliver_policy="New", deduplicate=False)
"""As in memory, an event that nobody is subscribed to is gone, and so is everything when the server ends."""
_KAFKA_RETENTION = "PT168H"


class ChannelMetadata(Metadata):
    known_annotations = frozenset({SCOPE})

    @model_validator(mode="after")
    def _has_known_scope(self) -> ChannelMetadata:
        scope = self.annotations.get(SCOPE, "cluster")
        if scope not in ("cluster", "namespace"):
            raise_problems([(("annotations", SCOPE), f"must be 'cluster' or 'namespace', was {scope!r}")])
        return self


ON_JETSTREAM = "runs as a JetStream channel here, with JetStream's rules of retries and dead letters, not as"
_SUBSCRIBERS = {"subscribers": "the cluster's controllers fill it in; write Subscriptions"}


# --- the kinds of channels -------------------------------------------------------------------------------------------


class JetStreamSpec(ChannelSpec):
    ignored: ClassVar[dict[str, str]] = _SUBSCRIBERS

    delivery: Delivery | None = None
    deployment_spec_template: dict[str, Any] | None = None
    """How the dispatcher's pods run, which one machine does not have."""


class InMemorySpec(Strict):
    ignored: ClassVar[dict[str, str]] = _SUBSCRIBERS

    delivery: Delivery | None = None

    def template(self) -> ChannelTemplate:
        return _IN_MEMORY


class KafkaSpec(Strict):
    ignored: ClassVar[dict[str, str]] = _SUBSCRIBERS

    num_partitions: Annotated[int, Field(ge=1)] = 1
    replication_factor: Annotated[int, Field(ge=1)] = 1
    retention_duration: Period = _KAFKA_RETENTION
    delivery: Delivery | None = None

    def template(self) -> ChannelTemplate:
        """A Kafka topic keeps its events for a time, and a new Subscription begins at its end."""
        return ChannelTemplate(max_age_s=parse_iso(self.retention_duration), deliver_policy="New", deduplicate=False)


class NatsJetStreamChannel(Resource):
    api_version: Literal["messaging.knative.dev/v1alpha1"]
    kind: Literal["NatsJetStreamChannel"]
    metadata: ChannelMetadata
    spec: JetStreamSpec = Field(default_factory=JetStreamSpec)


class InMemoryChannel(Resource):
    api_version: Literal["messaging.knative.dev/v1"]
    kind: Literal["InMemoryChannel"]
    metadata: ChannelMetadata
    spec: InMemorySpec = Field(default_factory=InMemorySpec)

    def local_notes(self) -> Iterator[FieldProblem]:
        yield ("kind",), f"{ON_JETSTREAM} {self.kind}"


class KafkaChannel(Resource):
    api_version: Literal["messaging.knative.dev/v1beta1", "messaging.knative.dev/v1"]
    kind: Literal["KafkaChannel"]
    metadata: ChannelMetadata
    spec: KafkaSpec = Field(default_factory=KafkaSpec)

    def local_notes(self) -> Iterator[FieldProblem]:
        yield ("kind",), f"{ON_JETSTREAM} {self.kind}"


# --- templates -------------------------------------------------------------------------------------------------------


class JetStreamTemplate(Strict):
    api_version: Literal["messaging.knative.dev/v1alpha1"]
    kind: Literal["NatsJetStreamChannel"]
    spec: JetStreamSpec = Field(default_factory=JetStreamSpec)


class InMemoryTemplate(Strict):
    api_version: Literal["messaging.knative.dev/v1"] = "messaging.knative.dev/v1"
    kind: Literal["InMemoryChannel"] = "InMemoryChannel"
    spec: InMemorySpec = Field(default_factory=InMemorySpec)


class KafkaTemplate(Strict):
    api_version: Literal["messaging.knative.dev/v1beta1", "messaging.knative.dev/v1"]
    kind: Literal["KafkaChannel"]
    spec: KafkaSpec = Field(default_factory=KafkaSpec)


PhysicalTemplate: TypeAlias = Annotated[
    JetStreamTemplate | InMemoryTemplate | KafkaTemplate, Field(discriminator="kind")
]


class Templated(Strict):
    """What makes channels of a template. Without one, they are InMemoryChannels, which is Knative's own default."""

    channel_template: PhysicalTemplate = Field(default_factory=InMemoryTemplate)

    @field_validator("channel_template", mode="before")
    @classmethod
    def _names_its_kind(cls, template: Any) -> Any:
        if isinstance(template, dict):
            missing = [name for name in ("apiVersion", "kind") if not isinstance(template.get(name), str)]
            raise_problems([((name,), "is missing") for name in missing])
            if (kind := template["kind"]) not in CHANNEL_KINDS[1:]:
                raise_problems([(("kind",), f"must be {' or '.join(CHANNEL_KINDS[1:])}, was {kind!r}")])
            if template.get("spec", {}) is None:
                return {name: value for name, value in template.items() if name != "spec"}
        return template


def _template_notes(spec: Templated) -> Iterator[FieldProblem]:
    if spec.channel_template.kind != JETSTREAM_KIND:
        yield ("spec", "channelTemplate"), f"{ON_JETSTREAM} {spec.channel_template.kind}"


class MessagingChannelSpec(Templated):
    refused: ClassVar[dict[str, str]] = _SUBSCRIBERS

    delivery: Delivery | None = None


class Channel(Resource):
    api_version: Literal["messaging.knative.dev/v1"]
    kind: Literal["Channel"]
    metadata: ChannelMetadata
    spec: MessagingChannelSpec = Field(default_factory=MessagingChannelSpec)

    def local_notes(self) -> Iterator[FieldProblem]:
        yield from _template_notes(self.spec)


AnyChannel: TypeAlias = Channel | InMemoryChannel | NatsJetStreamChannel | KafkaChannel


# --- Subscription ----------------------------------------------------------------------------------------------------


class ChannelReference(Reference):
    refused: ClassVar[dict[str, str]] = {
        "namespace": "a cluster refuses it: a Subscription and its channel are in the same namespace",
    }

    api_version: Literal["messaging.knative.dev/v1", "messaging.knative.dev/v1alpha1", "messaging.knative.dev/v1beta1"]
    kind: Literal["Channel", "InMemoryChannel", "NatsJetStreamChannel", "KafkaChannel"]

    @model_validator(mode="before")
    @classmethod
    def _has_no_namespace(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("namespace") is not None:
            raise_problems([(("namespace",), f"cannot be used: {cls.refused['namespace']}")])
        return data


class SubscriptionSpec(Strict):
    channel: ChannelReference
    subscriber: Destination
    reply: Destination | None = None
    delivery: Delivery | None = None


class Subscription(Resource):
    api_version: Literal["messaging.knative.dev/v1"]
    kind: Literal["Subscription"]
    spec: SubscriptionSpec


# --- flows -----------------------------------------------------------------------------------------------------------


class Step(Destination):
    ref: SinkReference | None = None
    uri: NonEmpty | None = None
    delivery: Delivery | None = None

    @property
    def destination(self) -> Destination:
        return Destination.model_construct(ref=self.ref, uri=self.uri)


class SequenceSpec(Templated):
    steps: Annotated[list[Step], Field(min_length=1)]
    reply: Destination | None = None


class Sequence(Resource):
    api_version: Literal["flows.knative.dev/v1"]
    kind: Literal["Sequence"]
    spec: SequenceSpec

    def local_notes(self) -> Iterator[FieldProblem]:
        yield from _template_notes(self.spec)


class Branch(Strict):
    filter: Destination | None = None
    """Guards the branch: the event that it answers is what the subscriber gets; without an answer the branch ends."""
    subscriber: Destination
    reply: Destination | None = None
    """Takes the place of the Parallel's own."""
    delivery: Delivery | None = None


class ParallelSpec(Templated):
    branches: Annotated[list[Branch], Field(min_length=1)]
    reply: Destination | None = None


class Parallel(Resource):
    api_version: Literal["flows.knative.dev/v1"]
    kind: Literal["Parallel"]
    spec: ParallelSpec

    def local_notes(self) -> Iterator[FieldProblem]:
        yield from _template_notes(self.spec)
