"""Knative Eventing's kinds: Broker, Trigger with its filters and delivery, PingSource, SinkBinding."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, field_validator, model_validator

from darkroom.manifests.model import (
    Destination,
    DnsSubdomain,
    FieldProblemsError,
    Metadata,
    NonEmpty,
    Period,
    Reference,
    Resource,
    Strict,
    raise_problems,
)
from darkroom.manifests.platform import cron
from darkroom.manifests.platform.durations import period_tenths

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
    backoff_delay: Period | None = None
    timeout: Period | None = None
    dead_letter_sink: Destination | None = None

    @field_validator("timeout")
    @classmethod
    def _timeout_is_positive(cls, timeout: str | None) -> str | None:
        if timeout is not None and period_tenths(timeout) == 0:
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
Attributes = dict[AttributeName, NonEmpty]
"""All of them must match. A cluster skips an expression that has an empty value."""


class FilterExpression(Strict):
    """One element of `filters`, with one dialect. An element without one is skipped, as on a cluster."""

    refused: ClassVar[dict[str, str]] = {
        "cesql": "the local runtime has no CloudEvents SQL; write it with exact, prefix, suffix, all, any and not",
        "sql": "the local runtime has no CloudEvents SQL; write it with exact, prefix, suffix, all, any and not",
    }

    exact: Attributes | None = None
    prefix: Attributes | None = None
    suffix: Attributes | None = None
    all: list[FilterExpression] | None = None
    any: list[FilterExpression] | None = None
    not_: FilterExpression | None = Field(default=None, alias="not")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, data: Any) -> Any:
        """An empty dialect counts as missing."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name == "not" or value not in ({}, [], None, "")}

    @model_validator(mode="after")
    def _has_one_dialect(self) -> FilterExpression:
        named = [field.alias or name for name, field in type(self).model_fields.items()]
        if len(self.dialects) > 1:
            found = ", ".join(self.dialects)
            raise ValueError(f"exactly one dialect of {', '.join(named)} is needed, found {found}")
        inner = [*(self.all or ()), *(self.any or ()), *([] if self.not_ is None else [self.not_])]
        if not all(each.dialects for each in inner):
            raise ValueError("the local runtime takes no expression without a dialect inside another one")
        return self

    @property
    def dialects(self) -> list[str]:
        """The dialects that are given."""
        fields = type(self).model_fields.items()
        return [field.alias or name for name, field in fields if getattr(self, name) is not None]


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

    @field_validator("filters")
    @classmethod
    def _without_empty_expressions(cls, filters: list[FilterExpression]) -> list[FilterExpression]:
        return [each for each in filters if each.dialects]


class Trigger(Resource):
    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Trigger"]
    spec: TriggerSpec


# --- sources ---------------------------------------------------------------------------------------------------------


def _check_extension_name(name: str) -> str:
    if not re.fullmatch("[A-Za-z0-9]+", name, re.ASCII):
        raise ValueError(f"an extension's name is letters and digits, was {name!r}")
    # It becomes an HTTP header, whose capitals do not count.
    return name.lower()


ExtensionName = Annotated[str, AfterValidator(_check_extension_name)]


class CloudEventOverrides(Strict):
    """Extension attributes that a source sets on every event it sends."""

    extensions: dict[ExtensionName, str] = Field(default_factory=dict)


EVERY_MINUTE = "* * * * *"


class PingSourceSpec(Strict):
    schedule: str = EVERY_MINUTE
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
            expression = cron.expanded(schedule or EVERY_MINUTE)
        except ValueError as exc:
            raise ValueError(f"must be a cron expression of five or six fields ({exc}), was {schedule!r}") from exc
        try:
            CronSim(expression, datetime.now(UTC))
        except CronSimError as exc:
            raise ValueError(f"is never due, and the local runtime waits for no such time, was {schedule!r}") from exc
        return schedule or EVERY_MINUTE

    @field_validator("timezone")
    @classmethod
    def _is_time_zone(cls, timezone: str | None) -> str | None:
        cron.check_timezone(timezone or "")
        return timezone

    @model_validator(mode="after")
    def _has_one_payload(self) -> PingSourceSpec:
        if self.data and self.data_base64:
            raise ValueError("data and dataBase64 exclude each other")
        return self

    @property
    def cron(self) -> str:
        """The schedule in six fields of numbers and `*`, without its time zone."""
        return cron.expanded(self.schedule)

    @property
    def zone(self) -> str:
        """The IANA name of the time zone; UTC if none is given, as Knative's containers have it."""
        name = self.timezone or cron.timezone_of(self.schedule)
        return "UTC" if name in {"", "Local"} else name


class PingSource(Resource):
    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["PingSource"]
    spec: PingSourceSpec


class Subject(Reference):
    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("selector") is not None and not data.get("name"):
            raise_problems([(("selector",), "cannot be used: the local runtime binds by name")])
        return data

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
