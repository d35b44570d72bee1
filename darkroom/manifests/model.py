"""Common parts of all manifest models: strictness, Kubernetes names, references, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.alias_generators import to_camel

from darkroom.events import durations
from darkroom.manifests.platform import marks
from darkroom.manifests.platform.durations import go_suggestion, period_suggestion, period_tenths
from darkroom.manifests.source import Document, FieldPath


class Strict(BaseModel):
    """Base of all models: unknown fields and type conversions are errors, as in a cluster's strict decoding."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that the API has but that cannot be used, with the reason. They leave a manifest out."""
    ignored: ClassVar[Mapping[str, str]] = {}
    """Fields that the API has and the local runtime does without, with the reason, which is told."""
    checked: ClassVar[frozenset[str]] = frozenset()
    """Fields that are checked as a cluster checks them, and have no effect here."""
    silent: ClassVar[frozenset[str]] = frozenset()
    """Fields that are ignored without a word, such as those that only a cluster sets."""
    is_quiet: ClassVar[bool] = False
    """True: all unknown fields are ignored without a word, since only a cluster needs them."""


class FieldProblemsError(ValueError):
    """Problems found by a check of a model, each with its path from that model, so that its line can be reported."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = tuple(problems)


FieldProblem: TypeAlias = tuple[FieldPath, str]


def raise_problems(problems: Sequence[FieldProblem]) -> None:
    """Raise FieldProblemsError if there are any problems."""
    if problems:
        raise FieldProblemsError(problems)


_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def _check_dns_label(name: str) -> str:
    if len(name) > 63 or not _DNS_LABEL.fullmatch(name):
        raise ValueError(f"must be a DNS label (lower-case letters, digits and -, at most 63), was {name!r}")
    return name


def _check_dns_subdomain(name: str) -> str:
    if len(name) > 253 or not all(_DNS_LABEL.fullmatch(part) for part in name.split(".")):
        raise ValueError(f"must be a DNS subdomain (lower-case letters, digits, - and ., at most 253), was {name!r}")
    return name


def check_dns_1035(name: str) -> str:
    if len(name) > 63 or not _DNS_1035.fullmatch(name):
        raise ValueError(
            f"must be a DNS-1035 label (begins with a lower-case letter, then letters, digits and -, at most 63), "
            f"was {name!r}"
        )
    return name


def _check_period(text: str) -> str:
    """Check a duration of a delivery block, and write it so that every parser of ISO 8601 reads it."""
    tenths = period_tenths(text)
    if tenths is None:
        near = period_suggestion(text)
        raise ValueError(f"must be an ISO 8601 duration such as PT1S or PT1M30S, was {text!r}{near}")
    if tenths < 0:
        raise ValueError(f"must not be negative, was {text!r}")
    try:
        if durations.parse_iso(text) * 10 == tenths:
            return text
    except ValueError:
        pass  # Years, months and signs, which ISO 8601 allows and the parser does not.
    return f"PT{tenths / 10:g}S" if tenths % 10 else f"PT{tenths // 10}S"


def _check_go(text: str) -> str:
    try:
        durations.parse_go(text)
    except ValueError as exc:
        raise ValueError(f"{exc}{go_suggestion(text)}") from exc
    return text


DnsLabel = Annotated[str, AfterValidator(_check_dns_label)]
DnsSubdomain = Annotated[str, AfterValidator(_check_dns_subdomain)]
Period = Annotated[str, AfterValidator(_check_period)]
GoDuration = Annotated[str, AfterValidator(_check_go)]
NonEmpty = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")


def label_problems(labels: Mapping[str, str]) -> Iterator[FieldProblem]:
    known = dict(marks.label_problems(labels))
    for name, value in labels.items():
        if name in known:
            yield ("labels", name), known[name]
        elif len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            yield ("labels", name), f"must be at most 63 letters, digits, -, _ and ., was {value!r}"


def annotation_problems(annotations: Mapping[str, str], known: frozenset[str]) -> Iterator[FieldProblem]:
    """Misspelt annotations of Knative. Other owners' annotations, and those that controllers set, are left alone."""
    for name in annotations:
        if name not in known and (near := marks.misspelt(name, known)):
            yield ("annotations", name), f"unknown annotation{near}"


class LabelsAndAnnotations(Strict):
    """The metadata that both resources and templates have."""

    known_annotations: ClassVar[frozenset[str]] = frozenset()

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _are_known(self) -> Self:
        raise_problems([*label_problems(self.labels), *annotation_problems(self.annotations, self.known_annotations)])
        return self


SET_BY_THE_CLUSTER = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""The fields of `metadata` that `kubectl get -o yaml` prints besides those that people write."""


class Metadata(LabelsAndAnnotations):
    silent: ClassVar[frozenset[str]] = SET_BY_THE_CLUSTER

    name: DnsSubdomain
    namespace: DnsLabel = "default"


class Resource(Strict):
    """One manifest. The loader attaches the document that it was read from."""

    silent: ClassVar[frozenset[str]] = frozenset({"status"})

    _document: Document | None = PrivateAttr(default=None)

    api_version: str
    kind: str
    metadata: Metadata

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def document(self) -> Document:
        if self._document is None:
            raise RuntimeError(f"{self.kind} {self.name} was not read from a file")
        return self._document

    def attach_document(self, document: Document) -> None:
        self._document = document

    def local_notes(self) -> Iterator[FieldProblem]:
        """Yield what the local runtime does otherwise than the manifest says, with the field that says it."""
        yield from ()

    def where(self, path: FieldPath = ()) -> str:
        """Return `file:line` of a field, for messages."""
        return f"{self.document.file}:{self.document.line(path)}"


SERVING = "serving.knative.dev/v1"
EVENTING = "eventing.knative.dev/v1"


ResourceKey: TypeAlias = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name."""


class Reference(Strict):
    """A KReference to another resource, by default in the same namespace."""

    silent: ClassVar[frozenset[str]] = frozenset({"address", "group"})

    api_version: NonEmpty
    kind: NonEmpty
    name: NonEmpty
    namespace: DnsLabel | None = None

    def key(self, namespace: str) -> ResourceKey:
        return (self.api_version, self.kind, self.namespace or namespace, self.name)


SINK_KINDS = (
    (SERVING, "Service"),
    (EVENTING, "Broker"),
    ("v1", "Service"),
    ("messaging.knative.dev/v1", "Channel"),
    ("messaging.knative.dev/v1", "InMemoryChannel"),
    ("messaging.knative.dev/v1alpha1", "NatsJetStreamChannel"),
    ("messaging.knative.dev/v1beta1", "KafkaChannel"),
    ("messaging.knative.dev/v1", "KafkaChannel"),
    ("flows.knative.dev/v1", "Sequence"),
    ("flows.knative.dev/v1", "Parallel"),
)


class SinkReference(Reference):
    @model_validator(mode="after")
    def _is_a_sink(self) -> SinkReference:
        if (self.api_version, self.kind) not in SINK_KINDS:
            known = ", ".join(dict.fromkeys(kind for _, kind in SINK_KINDS))
            raise ValueError(f"no such kind of sink here: {self.kind} of {self.api_version}; there are {known}")
        return self


class Destination(Strict):
    """A destination of events: a resource, an absolute URI, or a path at a resource."""

    ignored: ClassVar[Mapping[str, str]] = {
        "CACerts": "the local runtime speaks plain HTTP",
        "audience": "the local runtime issues no OIDC tokens",
    }

    ref: SinkReference | None = None
    uri: NonEmpty | None = None

    @model_validator(mode="after")
    def _ref_and_uri_agree(self) -> Destination:
        if self.ref is None and self.uri is None:
            raise ValueError("one of ref and uri is needed")
        absolute = self.uri is not None and re.match(r"https?://[^/]", self.uri) is not None
        has_scheme = self.uri is not None and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", self.uri) is not None
        if self.ref is None and not absolute:
            raise ValueError(f"without a ref, uri must be an absolute http address, was {self.uri!r}")
        if self.ref is not None and has_scheme:
            # knative.dev/pkg, apis/duck/v1/destination.go; what remains is resolved by RFC 3986.
            raise ValueError(f"beside a ref, uri must be relative to it, such as /path, was {self.uri!r}")
        return self


def with_namespace(destination: Destination, namespace: str) -> Destination:
    """Fill in the namespace of a destination's reference: that of the manifest, if the reference has none."""
    reference = destination.ref
    if reference is None or reference.namespace is not None:
        return destination
    return destination.model_copy(update={"ref": reference.model_copy(update={"namespace": namespace})})


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's fields by their YAML names, with their types."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
