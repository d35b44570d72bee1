"""The addresses that SinkBindings inject as K_SINK. They work on any machine: loopback, and no name to resolve.

On a cluster, a Service's address is a name of the cluster's DNS. Here each Service that is a sink gets a port of its
own, so that a request's path arrives as the sender wrote it. The address of a Broker or channel is at the ingress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from darkroom.local.children import ports
from darkroom.local.eventing.destinations import (
    CHANNEL_SUFFIXES,
    ChannelTarget,
    IngressTarget,
    ServiceTarget,
    cluster_url,
    locate,
)
from darkroom.local.front.gateway import Gateway
from darkroom.local.front.routes import Backend
from darkroom.local.revisions.activator import Activator
from darkroom.manifests import Destination
from darkroom.manifests.revision import ServiceKey


class SinkAddresses:
    def __init__(self, activator: Activator, broker_url: str) -> None:
        self._activator = activator
        self._broker_url = broker_url
        self._doors: dict[ServiceKey, Gateway] = {}

    async def open(self, sinks: Iterable[Destination]) -> None:
        """Listen for each Service among the sinks. References have their namespaces."""
        for sink in sinks:
            target = locate(cluster_url(sink), self._activator.services)
            if isinstance(target, ServiceTarget) and target.service not in self._doors:
                await self._open(target.service)

    def url(self, sink: Destination) -> str:
        """Return a sink's address on this machine. Its door is open already."""
        url = cluster_url(sink)
        match locate(url, self._activator.services):
            case ServiceTarget(service=service, path=path):
                # As on a cluster, the bare address of a Service has no path.
                return self._doors[service].url + (path if urlsplit(url).path or path != "/" else "")
            case IngressTarget(path=path):
                return self._broker_url + path
            case ChannelTarget(channel=(namespace, name), path=path):
                return f"{self._broker_url}/{namespace}/{name}{CHANNEL_SUFFIXES[0]}{path.removeprefix('/')}"
            case _:
                return url

    async def close(self) -> None:
        for door in self._doors.values():
            await door.close()

    async def _open(self, service: ServiceKey) -> None:
        door = Gateway(self._activator, _always(service), route_template=lambda _: "", port=ports.free_port())
        await door.start()
        self._doors[service] = door


def _always(service: ServiceKey) -> Callable[[str, str, str, Mapping[str, str]], Backend]:
    backend = Backend(namespace=service[0], service=service[1], port=80)
    return lambda *_: backend
