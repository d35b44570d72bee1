"""Where an event goes: the URL that a destination has within a cluster, and which part of this machine answers there.

Pure. A `uri` beside a `ref` is resolved against the reference's URL by RFC 3986, section 5.2, as Knative does
(knative.dev/pkg, resolver/addressable_resolver.go): a Service's URL has no path, a Broker's is that of the ingress. A
channel has a host of its own, and a Sequence or Parallel has that of its first channel.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

from darkroom.manifests import Destination
from darkroom.manifests.model import EVENTING, SERVING
from darkroom.manifests.revision import ServiceKey

INGRESS_HOST = "broker-ingress.knative-eventing.svc.cluster.local"
CHANNEL_SUFFIXES = ("-kn-channel", "-kn-jsm-channel")
"""Of the Kubernetes Services that lead to a channel: of most kinds, and of a NatsJetStreamChannel."""
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
class ChannelTarget:
    channel: tuple[str, str]
    """Namespace and name. Nobody has checked that it exists."""
    path: str
    """With the query, and never empty. A channel takes events at `/` only."""


@dataclass(frozen=True, kw_only=True)
class UrlTarget:
    """An address outside the runtime."""

    url: str


Target: TypeAlias = ServiceTarget | IngressTarget | ChannelTarget | UrlTarget


def cluster_url(destination: Destination) -> str:
    """Return a destination's URL as a cluster resolves it. Its reference has a namespace (`with_namespace`)."""
    reference, uri = destination.ref, destination.uri or ""
    if reference is None:
        return uri
    if reference.api_version == EVENTING:
        base = f"http://{INGRESS_HOST}/{reference.namespace}/{reference.name}"
    else:
        is_service = reference.api_version in (SERVING, "v1")
        name = reference.name if is_service else channel_host(reference.kind, reference.name)
        base = f"http://{name}.{reference.namespace}.svc.cluster.local"
    return urljoin(base, uri)


def channel_host(kind: str, name: str) -> str:
    """Return the first label of the host of a channel, or of a Sequence's or Parallel's first channel."""
    match kind:
        case "Sequence":
            return sequence_channel(name, 0) + CHANNEL_SUFFIXES[0]
        case "Parallel":
            return parallel_channel(name) + CHANNEL_SUFFIXES[0]
        case "NatsJetStreamChannel":
            return name + CHANNEL_SUFFIXES[1]
        case _:
            return name + CHANNEL_SUFFIXES[0]


def sequence_channel(sequence: str, step: int) -> str:
    """Return the name of the channel before a step, as Knative's controller makes it."""
    return f"{sequence}-kn-sequence-{step}"


def parallel_channel(parallel: str, branch: int | None = None) -> str:
    """Return the name of a Parallel's first channel, or of the channel behind a branch's filter."""
    return f"{parallel}-kn-parallel" + ("" if branch is None else f"-{branch}")


def channel_of_host(label: str) -> str | None:
    """Return the channel that the first label of a host stands for; None if it stands for none."""
    for suffix in CHANNEL_SUFFIXES:
        if label.endswith(suffix) and label != suffix:
            return label.removesuffix(suffix)
    return None


def channel_of_request(host: str) -> tuple[str, str] | None:
    """Return the namespace and name of the channel that a Host header names; None if it names none."""
    found = _CLUSTER_HOST.fullmatch(host.partition(":")[0].lower())
    name = channel_of_host(found["name"]) if found is not None else None
    return None if found is None or name is None else (found["namespace"], name)


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
    channel = channel_of_request(host) if is_http else None
    if channel is not None:
        return ChannelTarget(channel=channel, path=path)
    return UrlTarget(url=url)
