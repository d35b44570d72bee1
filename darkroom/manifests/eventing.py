"""Knative Eventing's kinds: Broker, Trigger with its filters and delivery, PingSource, SinkBinding."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, field_validator, model_validator

from darkroom.events.durations import parse_iso
from darkroom.manifests.model import (
    Destination,
    DnsSubdomain,
    FieldProblemsError,
    IsoDuration,
    Metadata,
    NonEmpty,
    Reference,
    Resource,
    Strict,
)

BROKER_CLASS = "eventing.knative.dev/broker.class"
CHANNEL_BASED = "MTChannelBasedBroker"


# --- delivery --------------------------------------------------------------------------------------------------------


class Delivery(Strict):
    refused: ClassVar[dict[str, str]] = {
        "retryAfterMax": "a cluster refuses it unless the feature delivery-retryafter is on, "
        "and the JetStream dispatcher ignores Retry-After",
        "format": "the local runtime delivers in binary mode",
    }

    retry: Annotated[int, Field(ge=0)] = 0
    backoff_policy: Literal["linear", "exponential"] | None = None
    backoff_delay: IsoDuration | None = None
    timeout: IsoDuration | None = None
    dead_letter_sink: Destination | None = None

    @field_validator("timeout")
    @classmethod
    def _timeout_is_positive(cls, timeout: str | None) -> str | None:
        if timeout is not None and parse_iso(timeout) <= 0:
            raise ValueError(f"must be more than 0, was {timeout!r}")
        return timeout

    @model_validator(mode="after")
    def _backoff_is_complete(self) -> Delivery:
        missing = [
            name
            for name, value in (("backoffPolicy", self.backoff_policy), ("backoffDelay", self.backoff_delay))
            if value is None
        ]
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} is missing: a delivery block without both backoffPolicy and backoffDelay "
                "makes the JetStream dispatcher panic"
            )
        return self


# --- Broker ----------------------------------------------------------------------------------------------------------


class BrokerMetadata(Metadata):
    known_annotations = frozenset({BROKER_CLASS})


class BrokerConfig(Reference):
    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]


class BrokerSpec(Strict):
    config: BrokerConfig
    """Optional on a cluster, but then the Broker uses the cluster's default channel, which is rarely JetStream's."""
    delivery: Delivery | None = None


class Broker(Resource):
    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Broker"]
    metadata: BrokerMetadata
    spec: BrokerSpec

    @field_validator("metadata")
    @classmethod
    def _is_channel_based(cls, metadata: BrokerMetadata) -> BrokerMetadata:
        broker_class = metadata.annotations.get(BROKER_CLASS)
        if broker_class != CHANNEL_BASED:
            message = f"must be {CHANNEL_BASED}, whose semantics the local runtime has, was {broker_class!r}"
            raise FieldProblemsError([(("annotations", BROKER_CLASS), message)])
        return metadata


# --- Trigger ---------------------------------------------------------------------------------------------------------


def _check_attribute_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*", name):
        raise ValueError(f"an attribute's name is lower-case letters and digits, first a letter; was {name!r}")
    return name


AttributeName = Annotated[str, AfterValidator(_check_attribute_name)]
OneAttribute = Annotated[dict[AttributeName, NonEmpty], Field(min_length=1, max_length=1)]
"""The webhook accepts one attribute per expression; write two as two elements or with `all`."""


class FilterExpression(Strict):
    """One element of `filters`, with exactly one dialect."""

    refused: ClassVar[dict[str, str]] = {
        "cesql": "the local runtime has no CloudEvents SQL; write it with exact, prefix, suffix, all, any and not",
        "sql": "the local runtime has no CloudEvents SQL; write it with exact, prefix, suffix, all, any and not",
    }

    exact: OneAttribute | None = None
    prefix: OneAttribute | None = None
    suffix: OneAttribute | None = None
    all: Annotated[list[FilterExpression], Field(min_length=1)] | None = None
    any: Annotated[list[FilterExpression], Field(min_length=1)] | None = None
    not_: FilterExpression | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _has_one_dialect(self) -> FilterExpression:
        named = [field.alias or name for name, field in type(self).model_fields.items()]
        given = [name for name in named if getattr(self, "not_" if name == "not" else name) is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"exactly one dialect of {', '.join(named)} is needed, found {found}")
        return self


class AttributeFilter(Strict):
    """The older filter: every attribute must be equal; an empty value only requires the attribute to be present."""

    attributes: dict[AttributeName, str] = Field(default_factory=dict)


class TriggerSpec(Strict):
    refused: ClassVar[dict[str, str]] = {
        "brokerRef": "a cluster refuses it unless the feature cross-namespace-event-links is on; use broker",
    }

    broker: DnsSubdomain
    filter: AttributeFilter | None = None
    filters: list[FilterExpression] = Field(default_factory=list)
    subscriber: Destination
    delivery: Delivery | None = None


class Trigger(Resource):
    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Trigger"]
    spec: TriggerSpec


# --- sources ---------------------------------------------------------------------------------------------------------


class CloudEventOverrides(Strict):
    """Extension attributes that a source sets on every event it sends."""

    extensions: dict[AttributeName, str] = Field(default_factory=dict)


class PingSourceSpec(Strict):
    schedule: NonEmpty
    """Five fields, or six, of which the first is seconds."""
    timezone: str | None = None
    content_type: str | None = None
    data: str | None = None
    data_base64: str | None = None
    sink: Destination
    ce_overrides: CloudEventOverrides | None = None

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, schedule: str) -> str:
        try:
            CronSim(schedule, datetime.now(UTC))
        except CronSimError as exc:
            raise ValueError(f"must be a cron expression of five or six fields ({exc}), was {schedule!r}") from exc
        return schedule

    @field_validator("timezone")
    @classmethod
    def _is_time_zone(cls, timezone: str | None) -> str | None:
        try:
            if timezone is not None:
                ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(f"must be a time zone's name such as Europe/Berlin, was {timezone!r}") from exc
        return timezone

    @model_validator(mode="after")
    def _has_one_payload(self) -> PingSourceSpec:
        if self.data is not None and self.data_base64 is not None:
            raise ValueError("data and dataBase64 exclude each other")
        return self


class PingSource(Resource):
    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["PingSource"]
    spec: PingSourceSpec


class Subject(Reference):
    refused: ClassVar[dict[str, str]] = {"selector": "the local runtime binds by name"}

    api_version: Literal["serving.knative.dev/v1"]
    kind: Literal["Service"]


class SinkBindingSpec(Strict):
    subject: Subject
    sink: Destination
    ce_overrides: CloudEventOverrides | None = None


class SinkBinding(Resource):
    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["SinkBinding"]
    spec: SinkBindingSpec
