"""The parts of the Gateway API's HTTPRoute that the local gateway supports."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from darkroom.events.durations import parse_go
from darkroom.manifests.model import DnsLabel, DnsSubdomain, GoDuration, NonEmpty, Port, Resource, Strict

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

_HOSTNAME = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _check_hostname(name: str) -> str:
    if len(name) > 253 or not _HOSTNAME.fullmatch(name):
        raise ValueError(f"must be a host name in lower case, perhaps with *. before it, was {name!r}")
    return name


Hostname = Annotated[str, AfterValidator(_check_hostname)]


class ParentReference(Strict):
    """The Gateway. Locally it is always the runtime's own."""

    group: str | None = None
    kind: str | None = None
    name: NonEmpty
    namespace: DnsLabel | None = None
    section_name: str | None = None
    port: Port | None = None


class PathMatch(Strict):
    type: Literal["Exact", "PathPrefix"] = "PathPrefix"
    """RegularExpression is refused: its meaning depends on the implementation."""
    value: str = "/"

    @model_validator(mode="after")
    def _is_absolute_and_normal(self) -> PathMatch:
        if not self.value.startswith("/"):
            raise ValueError(f"value must begin with /, was {self.value!r}")
        refused = [part for part in ("//", "/./", "/../", "%2f", "%2F", "#") if part in self.value]
        if refused or self.value.endswith(("/.", "/..")):
            raise ValueError(f"value must be a normal path, without {' '.join(refused) or '/. or /.. at its end'}")
        return self


class HeaderMatch(Strict):
    type: Literal["Exact"] = "Exact"
    name: NonEmpty
    value: NonEmpty


class RouteMatch(Strict):
    refused: ClassVar[dict[str, str]] = {"queryParams": "the local gateway does not match query parameters"}

    path: PathMatch = Field(default_factory=PathMatch)
    method: Method | None = None
    headers: Annotated[list[HeaderMatch], Field(max_length=16)] = Field(default_factory=list)


class UrlRewrite(Strict):
    refused: ClassVar[dict[str, str]] = {"path": "the local gateway passes paths on as they are"}

    hostname: Hostname


class RouteFilter(Strict):
    refused: ClassVar[dict[str, str]] = dict.fromkeys(
        ("requestHeaderModifier", "responseHeaderModifier", "requestMirror", "requestRedirect", "extensionRef", "cors"),
        "the local gateway knows only URLRewrite with a hostname",
    )

    type: Literal["URLRewrite"]
    url_rewrite: UrlRewrite


class BackendReference(Strict):
    """A Kubernetes Service: the one Serving creates for a Knative Service of the same name, or the ingress's own."""

    refused: ClassVar[dict[str, str]] = {"filters": "put them on the rule"}

    group: Literal[""] = ""
    kind: Literal["Service"] = "Service"
    name: NonEmpty
    namespace: DnsLabel | None = None
    port: Port
    weight: Annotated[int, Field(ge=0)] = 1


class RouteTimeouts(Strict):
    """Timeouts of a rule. Zero turns a timeout off, as leaving it out does."""

    request: GoDuration | None = None
    backend_request: GoDuration | None = None


class RouteRule(Strict):
    name: DnsSubdomain | None = None
    matches: list[RouteMatch] = Field(default_factory=list)
    filters: Annotated[list[RouteFilter], Field(max_length=1)] = Field(default_factory=list)
    backend_refs: Annotated[list[BackendReference], Field(min_length=1)]
    """The local gateway does not split traffic; the loader leaves one, the heaviest that runs here."""
    timeouts: RouteTimeouts | None = None

    @property
    def backend(self) -> BackendReference:
        return self.backend_refs[0]

    @property
    def timeout_s(self) -> float | None:
        """Return the shorter timeout, because the local gateway calls a backend once per request."""
        if self.timeouts is None:
            return None
        given = [parse_go(text) for text in (self.timeouts.request, self.timeouts.backend_request) if text]
        return min(filter(None, given), default=None)

    @property
    def rewritten_hostname(self) -> str | None:
        return self.filters[0].url_rewrite.hostname if self.filters else None


class HTTPRouteSpec(Strict):
    checked: ClassVar[frozenset[str]] = frozenset({"parentRefs"})

    parent_refs: list[ParentReference] = Field(default_factory=list)
    hostnames: list[Hostname] = Field(default_factory=list)
    """Empty: any host."""
    rules: Annotated[list[RouteRule], Field(min_length=1)]


class HTTPRoute(Resource):
    api_version: Literal["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"]
    kind: Literal["HTTPRoute"]
    spec: HTTPRouteSpec

    def knative_service(self, rule: RouteRule) -> tuple[str, str]:
        """Return the namespace and name of the Service that a rule routes to.

        Knative's ingress selects Services by host name, so a rewritten host name decides; otherwise the backend's name.
        """
        rewritten = rule.rewritten_hostname
        match = re.fullmatch(r"([^.]+)\.([^.]+)(\.svc(\.cluster\.local)?)?", rewritten or "")
        if match is not None:
            return match[2], match[1]
        return self.target(rule.backend)

    def target(self, backend: BackendReference) -> tuple[str, str]:
        return backend.namespace or self.namespace, backend.name
