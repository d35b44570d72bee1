"""Where an event goes: the URL that a destination has within a cluster, and which part of this machine answers there.

Pure. A `uri` beside a `ref` is resolved against the reference's URL by RFC 3986, section 5.2, as Knative does
(knative.dev/pkg, resolver/addressable_resolver.go): a Service's URL has no path, a Broker's is that of the ingress.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

from darkroom.manifests import Destination
from darkroom.manifests.model import SERVING
from darkroom.manifests.revision import ServiceKey

INGRESS_HOST = "broker-ingress.knative-eventing.svc.cluster.local"
_CLUSTER_HOST = re.compile(r"(?P<name>[^.]+)\.(?P<namespace>[^.]+)\.svc(\.cluster\.local)?\.?")


@dataclass(frozen=True, kw_only=True)
class ServiceTarget:
    service: ServiceKey
    path: str
    """With the query, and never empty."""


@dataclass(frozen=True, kw_only=True)
class IngressTarget:
    """The Brokers' ingress. On another path than `/namespace/name` it knows no Broker."""

    path: str

    @property
    def broker(self) -> tuple[str, str] | None:
        """Return the Broker's namespace and name; None if the path names none."""
        parts = self.path.partition("?")[0].removesuffix("/").split("/")
        return (parts[1], parts[2]) if len(parts) == 3 else None


@dataclass(frozen=True, kw_only=True)
class UrlTarget:
    """An address outside the runtime."""

    url: str


Target: TypeAlias = ServiceTarget | IngressTarget | UrlTarget


def cluster_url(destination: Destination) -> str:
    """Return a destination's URL as a cluster resolves it. Its reference has a namespace (`with_namespace`)."""
    reference, uri = destination.ref, destination.uri or ""
    if reference is None:
        return uri
    if reference.api_version in (SERVING, "v1"):
        base = f"http://{reference.name}.{reference.namespace}.svc.cluster.local"
    else:
        base = f"http://{INGRESS_HOST}/{reference.namespace}/{reference.name}"
    return urljoin(base, uri)


def locate(url: str, services: Container[ServiceKey]) -> Target:
    """Find what answers at a URL. Names of a cluster's own domain are known here without a resolver."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = (parts.hostname or "").lower()
    is_http = parts.scheme == "http" and parts.port in (None, 80)
    if is_http and host.removesuffix(".").removesuffix(".cluster.local") == INGRESS_HOST.removesuffix(".cluster.local"):
        return IngressTarget(path=path)
    found = _CLUSTER_HOST.fullmatch(host)
    if is_http and found is not None and (found["namespace"], found["name"]) in services:
        return ServiceTarget(service=(found["namespace"], found["name"]), path=path)
    return UrlTarget(url=url)
