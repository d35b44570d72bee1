"""Knative Eventing's kinds: Broker, Trigger with its filters and delivery, PingSource, SinkBinding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, field_validator, model_validator

from darkroom.manifests.errors import suggestion
from darkroom.manifests.model import (
    SERVING,
    Destination,
    DnsLabel,
    DnsSubdomain,
    FieldProblem,
    Metadata,
    NonEmpty,
    Period,
    Resource,
    ResourceKey,
    Strict,
)
from darkroom.manifests.platform import cron
from darkroom.manifests.platform.durations import period_tenths

BROKER_CLASS = "eventing.knative.dev/broker.class"
CHANNEL_BASED = "MTChannelBasedBroker"
INSTALLATION = "knative-eventing"
"""The namespace of a cluster's own ConfigMaps, which are not in users' files."""
_CONFIG_MAP = ("v1", "ConfigMap")


# --- delivery --------------------------------------------------------------------------------------------------------


class Delivery(Strict):
    refused: ClassVar[dict[str, str]] = {
        "retryAfterMax": "a cluster refuses it unless the feature delivery-retryafter is on, "
        "and the JetStream dispatcher ignores Retry-After",
    }
    ignored: ClassVar[dict[str, str]] = {"format": "the local runtime delivers in binary mode"}

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


# --- Broker ----------------------------------------------------------------------------------------------------------


class BrokerMetadata(Metadata):
    known_annotations = frozenset({BROKER_CLASS})


class BrokerConfig(Strict):
    """Where a Broker's class finds its settings. Only the ConfigMap of a channel-based Broker has a meaning here."""

    is_quiet: ClassVar[bool] = True

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str | None = None


class BrokerSpec(Strict):
    config: BrokerConfig | None = None
    delivery: Delivery | None = None


class Broker(Resource):
    api_version: Literal["eventing.knative.dev/v1"]
    kind: Literal["Broker"]
    metadata: BrokerMetadata
    spec: BrokerSpec = Field(default_factory=BrokerSpec)

    @property
    def broker_class(self) -> str:
        """Return the class, which is the cluster's default where none is given."""
        return self.metadata.annotations.get(BROKER_CLASS, CHANNEL_BASED)

    @property
    def config_map(self) -> ResourceKey | None:
        """Return the key of the ConfigMap with the channel's template; None if it has none of the user's own."""
        config = self.spec.config
        if config is None or self.broker_class != CHANNEL_BASED or (config.api_version, config.kind) != _CONFIG_MAP:
            return None
        namespace = config.namespace or self.namespace
        return None if namespace == INSTALLATION else (*_CONFIG_MAP, namespace, config.name)

    def local_notes(self) -> Iterator[FieldProblem]:
        if self.broker_class != CHANNEL_BASED:
            near = suggestion(self.broker_class, [CHANNEL_BASED])
            path = ("metadata", "annotations", BROKER_CLASS)
            yield path, f"runs on NATS JetStream here, not as a Broker of class {self.broker_class}{near}"
        elif self.config_map is None:
            yield ("spec", "config"), "runs on NATS JetStream here, with the defaults of its channels"


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
    api_version: Literal["sources.knative.dev/v1", "sources.knative.dev/v1beta2"]
    kind: Literal["PingSource"]
    spec: PingSourceSpec


class LabelSelector(Strict):
    refused: ClassVar[dict[str, str]] = {"matchExpressions": "the local runtime selects by matchLabels"}

    match_labels: dict[str, str] = Field(default_factory=dict)


SUBJECT_KINDS = ((SERVING, "Service"), ("apps/v1", "Deployment"))


class Subject(Strict):
    """What a SinkBinding gives its sink to: a workload by its name, or all workloads with some labels."""

    api_version: NonEmpty
    kind: NonEmpty
    name: str | None = None
    namespace: DnsLabel | None = None
    selector: LabelSelector | None = None

    @model_validator(mode="after")
    def _runs_here(self) -> Subject:
        if (self.api_version, self.kind) not in SUBJECT_KINDS:
            known = " and ".join(f"{kind} of {version}" for version, kind in SUBJECT_KINDS)
            raise ValueError(f"the local runtime runs no {self.kind} of {self.api_version}; it binds {known}")
        if not self.name and (self.selector is None or not self.selector.match_labels):
            raise ValueError("one of name and selector is needed")
        return self

    def key(self, namespace: str) -> ResourceKey | None:
        """Return the key of the subject that is named; None if subjects are selected by their labels."""
        return (self.api_version, self.kind, self.namespace or namespace, self.name) if self.name else None


class SinkBindingSpec(Strict):
    subject: Subject
    sink: Destination
    ce_overrides: CloudEventOverrides | None = None


class SinkBinding(Resource):
    api_version: Literal["sources.knative.dev/v1"]
    kind: Literal["SinkBinding"]
    spec: SinkBindingSpec
