"""Where the running project is reached: the address of each Service, Broker and HTTPRoute, for people to use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from darkroom.local.addresses import Addresses
from darkroom.local.eventing.destinations import cluster_url
from darkroom.local.front.gateway import LOCALHOST_SUFFIX
from darkroom.manifests import HTTPRoute, Manifests, with_namespace
from darkroom.manifests.revision import ServiceKey


@dataclass(frozen=True, kw_only=True)
class ServiceEntry:
    namespace: str
    name: str
    url: str | None
    """By its own host name; None: only events, HTTPRoutes and the other Services reach it."""
    curl: str | None
    """A command that works where no resolver knows the host name."""


@dataclass(frozen=True, kw_only=True)
class RouteEntry:
    namespace: str
    name: str
    url: str
    curl: str


@dataclass(frozen=True, kw_only=True)
class BrokerEntry:
    namespace: str
    name: str
    url: str
    triggers: tuple[tuple[str, str], ...]
    """The Triggers' names and their subscribers' addresses within a cluster."""


@dataclass(frozen=True, kw_only=True)
class EntryPoints:
    services: tuple[ServiceEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    brokers: tuple[BrokerEntry, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "services": [vars(each) for each in self.services],
            "routes": [vars(each) for each in self.routes],
            "brokers": [{"namespace": each.namespace, "name": each.name, "url": each.url} for each in self.brokers],
        }


def entry_points(manifests: Manifests, addresses: Addresses, cluster_local: Collection[ServiceKey]) -> EntryPoints:
    """List where the manifests' resources are reached. `cluster_local` are the Services without an address."""
    names = [(each.namespace, each.name) for each in manifests.services]
    return EntryPoints(
        services=tuple(_service(key, addresses.api, key in cluster_local) for key in [*names, *manifests.backends]),
        routes=tuple(_route(each, addresses.api) for each in manifests.routes),
        brokers=tuple(
            BrokerEntry(
                namespace=broker.namespace,
                name=broker.name,
                url=f"{addresses.broker}/{broker.namespace}/{broker.name}",
                triggers=tuple(
                    (trigger.name, cluster_url(with_namespace(trigger.spec.subscriber, trigger.namespace)))
                    for trigger in manifests.triggers_of(broker)
                ),
            )
            for broker in manifests.brokers
        ),
    )


def _service(key: ServiceKey, api: str, is_private: bool) -> ServiceEntry:
    namespace, name = key
    if is_private:
        return ServiceEntry(namespace=namespace, name=name, url=None, curl=None)
    host = f"{name}.{namespace}{LOCALHOST_SUFFIX}"
    url = f"http://{host}:{urlsplit(api).port}"
    return ServiceEntry(namespace=namespace, name=name, url=url, curl=f"curl -H 'Host: {host}' {api}/")


def _route(route: HTTPRoute, api: str) -> RouteEntry:
    """Describe a route by its first path. Its own host names resolve to wherever the cluster is."""
    matches = route.spec.rules[0].matches
    path = matches[0].path.value if matches else "/"
    hosts: Mapping[str, str] = {} if not route.spec.hostnames else {"Host": route.spec.hostnames[0]}
    header = "".join(f"-H '{name}: {value}' " for name, value in hosts.items())
    return RouteEntry(namespace=route.namespace, name=route.name, url=f"{api}{path}", curl=f"curl {header}{api}{path}")
