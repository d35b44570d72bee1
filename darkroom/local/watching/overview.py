"""What the running stack looks like at this moment, as `darkroom status` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nats.errors

from darkroom.adapters.jobs import JobStore
from darkroom.contract.jobs import JobStatus
from darkroom.errors import DependencyUnavailableError
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.eventing.broker import BrokerAddress
from darkroom.local.eventing.dispatch import OUTCOMES, Dispatcher
from darkroom.local.eventing.stream import BrokerStream, consumer_name
from darkroom.local.revisions.activator import Activator
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.scaler import Scaler


@dataclass(frozen=True, kw_only=True)
class Overview:
    servers: Mapping[str, Server]
    pools: Mapping[str, Pool]
    scalers: Mapping[str, Scaler]
    activator: Activator
    dispatchers: Sequence[Dispatcher]
    streams: Mapping[BrokerAddress, BrokerStream]
    jobs: JobStore

    async def status(self) -> dict[str, Any]:
        backlog = await self._backlog()
        return {
            "functions": [self._function(service) for service in self.pools],
            "triggers": [_trigger(dispatcher, backlog) for dispatcher in self.dispatchers],
            "jobs": await asyncio.to_thread(self._jobs),
            "servers": await asyncio.gather(*(_server(server) for server in self.servers.values())),
        }

    def _function(self, service: str) -> dict[str, Any]:
        pool, decision = self.pools[service], self.scalers[service].decision
        states = [instance.state for instance in pool.instances]
        return {
            "service": service,
            "revision": pool.revision.name,
            "ready": states.count(InstanceState.READY),
            "starting": states.count(InstanceState.STARTING),
            "draining": states.count(InstanceState.DRAINING),
            "wanted": decision.desired,
            "panicking": decision.panicking,
            "capped": pool.processes < pool.desired and states.count(InstanceState.STARTING) == 0,
            "in_flight": sum(instance.in_flight for instance in pool.instances),
            "waiting": self.activator.queued(service),
            "min_scale": pool.revision.scaling.min_scale,
            "max_scale": pool.revision.scaling.max_scale,
            "pids": [instance.process.pid for instance in pool.instances if instance.process is not None],
        }

    async def _backlog(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for stream in self.streams.values():
            try:
                found |= await stream.backlog()
            except (nats.errors.Error, DependencyUnavailableError):
                # NATS is down: the table says that the number is not known, the servers' rows say why.
                continue
        return found

    def _jobs(self) -> dict[str, Any]:
        try:
            backlog = self.jobs.backlog()
        except DependencyUnavailableError as exc:
            return {"error": exc.detail}
        return {
            "queued": backlog.by_status.get(JobStatus.QUEUED, 0),
            "processing": backlog.by_status.get(JobStatus.PROCESSING, 0),
            "oldest_age_s": backlog.oldest_age_s,
        }


def _trigger(dispatcher: Dispatcher, backlog: Mapping[str, int | None]) -> dict[str, Any]:
    counts = dispatcher.counts
    return {
        "trigger": dispatcher.name,
        "subscriber": dispatcher.route.subscriber_name,
        "backlog": backlog.get(consumer_name(dispatcher.route.trigger)),
        "in_flight": dispatcher.in_flight,
        **{name: counts[name] for name in OUTCOMES},
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
