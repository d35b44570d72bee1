"""What every manifest's model has in common: strictness, names as Kubernetes writes them, references, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic.alias_generators import to_camel

from darkroom.events import durations
from darkroom.manifests.errors import suggestion
from darkroom.manifests.source import Document, FieldPath


class Strict(BaseModel):
    """A part of a manifest: unknown fields and converted types are errors, as a cluster's strict decoding has them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that the API has and that cannot be used, with the reason."""


class ProblemsError(ValueError):
    """What a check found, each with its path from the model that it checked, so that its own line can be named."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = tuple(problems)


Problem: TypeAlias = tuple[FieldPath, str]


def raise_any(problems: Sequence[Problem]) -> None:
    if problems:
        raise ProblemsError(problems)


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


def _check_iso(text: str) -> str:
    durations.parse_iso(text)
    return text


def _check_go(text: str) -> str:
    durations.parse_go(text)
    return text


DnsLabel = Annotated[str, AfterValidator(_check_dns_label)]
DnsSubdomain = Annotated[str, AfterValidator(_check_dns_subdomain)]
IsoDuration = Annotated[str, AfterValidator(_check_iso)]
GoDuration = Annotated[str, AfterValidator(_check_go)]
NonEmpty = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
# Labels of these domains change what Knative and Kubernetes do, so a slip in them must not pass; others are anybody's.
_MEANINGFUL_LABELS = frozenset(
    {
        "networking.knative.dev/visibility",
        "bindings.knative.dev/include",
        "bindings.knative.dev/exclude",
        *(
            f"pod-security.kubernetes.io/{mode}{suffix}"
            for mode in ("enforce", "audit", "warn")
            for suffix in ("", "-version")
        ),
        *(
            f"app.kubernetes.io/{name}"
            for name in ("name", "component", "part-of", "instance", "version", "managed-by")
        ),
    }
)
_MEANINGFUL_DOMAINS = ("knative.dev", "pod-security.kubernetes.io", "app.kubernetes.io")
# Written by tools, read by tools.
_TOOL_ANNOTATIONS = ("kubectl.kubernetes.io/", "config.kubernetes.io/", "internal.config.kubernetes.io/")


def label_problems(labels: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in labels.items():
        domain = name.partition("/")[0]
        if domain.endswith(_MEANINGFUL_DOMAINS) and name not in _MEANINGFUL_LABELS:
            yield ("labels", name), f"unknown label{suggestion(name, _MEANINGFUL_LABELS)}"
        elif len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            yield ("labels", name), f"must be at most 63 letters, digits, -, _ and ., was {value!r}"
        elif name == "networking.knative.dev/visibility" and value != "cluster-local":
            yield ("labels", name), f'must be "cluster-local" or not be there, was {value!r}'


def annotation_problems(annotations: Mapping[str, str], known: frozenset[str]) -> Iterator[Problem]:
    for name in annotations:
        if name not in known and not name.startswith(_TOOL_ANNOTATIONS):
            yield ("annotations", name), f"unknown annotation{suggestion(name, known)}"


class Marks(Strict):
    """Labels and annotations: the metadata that a template has, too."""

    known_annotations: ClassVar[frozenset[str]] = frozenset()

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _are_known(self) -> Self:
        raise_any([*label_problems(self.labels), *annotation_problems(self.annotations, self.known_annotations)])
        return self


class Metadata(Marks):
    refused: ClassVar[Mapping[str, str]] = {
        "generateName": "a name that is made up cannot be referred to; use name",
        "ownerReferences": "the cluster's controllers set it",
        "finalizers": "the cluster's controllers set it",
    }

    name: DnsSubdomain
    namespace: DnsLabel = "default"


class Resource(Strict):
    """A manifest. The loader tells it where it was read."""

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

    def read_from(self, document: Document) -> None:
        self._document = document

    def where(self, path: FieldPath = ()) -> str:
        """`file:line` of a field, for messages."""
        return f"{self.document.file}:{self.document.line(path)}"


SERVING = "serving.knative.dev/v1"
EVENTING = "eventing.knative.dev/v1"


ResourceKey: TypeAlias = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name."""


class Reference(Strict):
    """A KReference: another resource, in the same namespace unless it says otherwise."""

    api_version: NonEmpty
    kind: NonEmpty
    name: NonEmpty
    namespace: DnsLabel | None = None

    def key(self, namespace: str) -> ResourceKey:
        return (self.api_version, self.kind, self.namespace or namespace, self.name)


SINK_KINDS = ((SERVING, "Service"), (EVENTING, "Broker"))


class SinkReference(Reference):
    @model_validator(mode="after")
    def _is_a_sink(self) -> SinkReference:
        if (self.api_version, self.kind) not in SINK_KINDS:
            known = " or ".join(f"{kind} of {version}" for version, kind in SINK_KINDS)
            raise ValueError(f"no such kind of sink: {self.kind} of {self.api_version}; use a {known}")
        return self


class Destination(Strict):
    """Where events go: a resource, an absolute address, or a path at a resource."""

    refused: ClassVar[Mapping[str, str]] = {
        "CACerts": "the local runtime speaks plain HTTP; leave it to an overlay",
        "audience": "the local runtime issues no OIDC tokens; leave it to an overlay",
    }

    ref: SinkReference | None = None
    uri: NonEmpty | None = None

    @model_validator(mode="after")
    def _check(self) -> Destination:
        if self.ref is None and self.uri is None:
            raise ValueError("one of ref and uri is needed")
        absolute = self.uri is not None and re.match(r"https?://[^/]", self.uri) is not None
        if self.ref is None and not absolute:
            raise ValueError(f"without a ref, uri must be an absolute http address, was {self.uri!r}")
        if self.ref is not None and self.uri is not None and (absolute or not self.uri.startswith("/")):
            raise ValueError(f"beside a ref, uri must be a path that begins with /, was {self.uri!r}")
        return self


def resolved(destination: Destination, namespace: str) -> Destination:
    """The destination with a reference that bears its namespace: that of the manifest, where it says none."""
    reference = destination.ref
    if reference is None or reference.namespace is not None:
        return destination
    return destination.model_copy(update={"ref": reference.model_copy(update={"namespace": namespace})})


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """A model's fields by the names they have in YAML, with their types."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
