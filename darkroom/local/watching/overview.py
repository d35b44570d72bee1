"""The current status of the running stack, as shown by `darkroom status`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nats.errors

from darkroom.errors import DependencyUnavailableError
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.dispatch import COUNTED, Dispatcher
from darkroom.local.eventing.stream import consumer_name
from darkroom.local.extension import Application
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceState
from darkroom.manifests.revision import ServiceKey


@dataclass(frozen=True, kw_only=True)
class Overview:
    servers: Mapping[str, Server]
    fleet: Fleet
    brokers: Brokers
    application: Application

    async def status(self) -> dict[str, Any]:
        backlog = await self._backlog()
        return {
            "functions": [self._function(key) for key in self.fleet.pools],
            "triggers": [_trigger(dispatcher, backlog) for dispatcher in self.brokers.dispatchers],
            "servers": await asyncio.gather(*(_server(server) for server in self.servers.values())),
            **await asyncio.to_thread(self._sections),
        }

    def _function(self, key: ServiceKey) -> dict[str, Any]:
        pool, decision = self.fleet.pools[key], self.fleet.scalers[key].decision
        states = [instance.state for instance in pool.instances]
        return {
            "service": pool.revision.label,
            "namespace": pool.revision.namespace,
            "name": pool.revision.service,
            "revision": pool.revision.name,
            "ready": states.count(InstanceState.READY),
            "unready": states.count(InstanceState.UNREADY),
            "starting": states.count(InstanceState.STARTING),
            "draining": states.count(InstanceState.DRAINING),
            "wanted": decision.desired,
            "panicking": decision.panicking,
            "capped": pool.processes < pool.desired and InstanceState.STARTING not in states and not pool.trouble,
            "failing": None if pool.trouble is None else pool.trouble.as_dict(),
            "in_flight": sum(instance.in_flight for instance in pool.instances),
            "waiting": self.fleet.activator.queued(key),
            "min_scale": pool.revision.scaling.min_scale,
            "max_scale": pool.revision.scaling.max_scale,
            "pids": [instance.process.pid for instance in pool.instances if instance.process is not None],
        }

    async def _backlog(self) -> dict[str, int | None]:
        backlog: dict[str, int | None] = {}
        for stream in self.brokers.streams.values():
            try:
                backlog |= await stream.backlog()
            except (nats.errors.Error, DependencyUnavailableError):
                # NATS is down: the backlog is shown as unknown, and the servers' section shows why.
                continue
        return backlog

    def _sections(self) -> dict[str, Any]:
        """Return the application's own sections."""
        return {name: _section(read) for name, read in self.application.status.items()}


def _section(read: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return read()
    except DependencyUnavailableError as exc:
        return {"error": exc.detail}


def _trigger(dispatcher: Dispatcher, backlog: Mapping[str, int | None]) -> dict[str, Any]:
    counts = dispatcher.counts
    return {
        "trigger": dispatcher.name,
        "namespace": dispatcher.route.trigger.namespace,
        "name": dispatcher.route.trigger.name,
        "broker": dispatcher.route.broker[1],
        "subscriber": dispatcher.route.subscriber_name,
        "backlog": backlog.get(consumer_name(dispatcher.route.trigger)),
        "in_flight": dispatcher.in_flight,
        "last_failure": dispatcher.last_failure,
        **{name: counts[name] for name in COUNTED},
    }


async def _server(server: Server) -> dict[str, Any]:
    try:
        await server.check()
        state = "up"
    except DependencyUnavailableError as exc:
        state = exc.detail
    ours = server if isinstance(server, SupervisedServer) else None
    return {
        "name": server.name,
        "url": server.url,
        "state": state,
        "restarts": ours.restarts if ours else 0,
        "pid": ours.pid if ours else None,
    }
