"""Collects the current readings of all the running stack's metrics.

If a dependency is down, only its own metrics are left out, and `darkroom.server.up` shows why.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import nats.errors

from darkroom.errors import DependencyUnavailableError
from darkroom.local.children.health import nats_storage_limit_bytes
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.dispatch import COUNTED, Dispatcher
from darkroom.local.eventing.stream import consumer_name
from darkroom.local.extension import Application
from darkroom.local.front.request_times import RequestTimes
from darkroom.local.reporting import Report
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.revisions.pool import Pool
from darkroom.local.watching.resource_usage import ProcessTimes, StorageSize
from darkroom.manifests.revision import ServiceKey
from darkroom.telemetry import platform_metrics as metrics
from darkroom.telemetry.jetstream import stream_readings
from darkroom.telemetry.metric import Distribution, Metric, Readings, Values
from darkroom.telemetry.tally import Labels

ANSWER_WITHIN_S = 4.0
"""The timeout per part. Prometheus waits for ten seconds, and a machine under full load is slow but not dead."""

_SHOWN_STATES = (InstanceState.READY, InstanceState.UNREADY, InstanceState.STARTING, InstanceState.DRAINING)


@dataclass(frozen=True, kw_only=True)
class Measurements:
    servers: Mapping[str, Server]
    fleet: Fleet
    brokers: Brokers
    application: Application
    requests: RequestTimes
    own_pids: Callable[[], list[int]]
    """Returns the pids of the runtime's own processes."""
    storage: StorageSize | None
    """None: the S3 server is not ours."""
    report: Report
    processes: ProcessTimes = field(default_factory=ProcessTimes)

    async def read(self) -> Readings:
        parts: list[Awaitable[Readings]] = [
            self._servers(),
            *(self._if_available(name, asyncio.to_thread(read)) for name, read in self.application.readings.items()),
            self._if_available("streams", self._streams()),
            self._if_available("triggers", self._triggers()),
            asyncio.to_thread(self.processes.read, self._pids(), alone={"runtime"}),
        ]
        if self.storage is not None:
            parts.append(asyncio.to_thread(self.storage.read))
        return merge([*await asyncio.gather(*parts), *self._runtime_readings()])

    async def _if_available(self, part: str, readings: Awaitable[Readings]) -> Readings:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await readings
        except (DependencyUnavailableError, nats.errors.Error, OSError, TimeoutError) as exc:
            self.report("metrics.left_out", part=part, error=repr(exc))
            return {}

    # --- read from servers -------------------------------------------------------------------------------------------

    async def _servers(self) -> Readings:
        servers = list(self.servers.values())
        answers = await asyncio.gather(*(_is_up(server) for server in servers))
        up: dict[Labels, float] = {(server.name,): answer for server, answer in zip(servers, answers, strict=True)}
        restarts: dict[Labels, float] = {(server.name,): _restarts(server) for server in servers}
        return {metrics.SERVER_UP: up, metrics.SERVER_RESTARTS: restarts}

    def _require_nats(self) -> None:
        """Raise DependencyUnavailableError without NATS. Its client would wait longer than Prometheus's timeout."""
        if not self.brokers.connection.is_connected:
            raise DependencyUnavailableError("nats", "the connection is lost")

    async def _streams(self) -> Readings:
        self._require_nats()
        streams = await self.brokers.connection.jetstream(timeout=ANSWER_WITHIN_S).streams_info()
        limit_bytes = await self._nats_storage_limit_bytes()
        return stream_readings(streams, server_limit_bytes=limit_bytes)

    async def _nats_storage_limit_bytes(self) -> int:
        """Return the limit of our own NATS server; 0 if NATS is not ours."""
        server = self.servers["nats"]
        return await nats_storage_limit_bytes(server.plan.monitor_url) if isinstance(server, SupervisedServer) else 0

    async def _triggers(self) -> Readings:
        self._require_nats()
        labels = {
            (each.route.stream.name, consumer_name(each.route.receiver)): _label(each)
            for each in self.brokers.all_dispatchers
        }
        backlog: dict[Labels, float] = {}
        in_flight: dict[Labels, float] = {}
        for stream in {each.route.stream for each in self.brokers.all_dispatchers}:
            for consumer, state in (await stream.consumers()).items():
                if (label := labels.get((stream.name, consumer))) is not None:
                    backlog[label,] = state.waiting
                    in_flight[label,] = state.unacked
        return {metrics.TRIGGER_BACKLOG: backlog, metrics.TRIGGER_IN_FLIGHT: in_flight}

    def _pids(self) -> dict[str, list[int]]:
        """Return the pids by name. A Service at zero is included, because its earlier CPU time counts."""
        pids: dict[str, list[int]] = {"runtime": self.own_pids()}
        for server in self.servers.values():
            if isinstance(server, SupervisedServer):
                pids[server.name] = [server.pid] if server.pid is not None else []
        for pool in self.fleet.pools.values():
            pids[pool.revision.label] = [
                instance.process.pid for instance in pool.instances if instance.process is not None
            ]
        return pids

    # --- counted by the runtime itself -------------------------------------------------------------------------------

    def _runtime_readings(self) -> list[Readings]:
        services = [self._service(key, pool) for key, pool in self.fleet.pools.items()]
        cold_starts = [pool.tally.readings() for pool in self.fleet.pools.values()]
        deliveries = [_deliveries(dispatcher) for dispatcher in self.brokers.all_dispatchers]
        return [*services, *cold_starts, *deliveries, self.requests.readings()]

    def _service(self, key: ServiceKey, pool: Pool) -> Readings:
        service = pool.revision.label
        states = [instance.state for instance in pool.instances]
        counts: dict[Labels, float] = {(service, state.value): states.count(state) for state in _SHOWN_STATES}
        decision, concurrency = self.fleet.scalers[key].decision, pool.revision.container_concurrency
        readings: dict[Metric, Values] = {
            metrics.INSTANCES: {(service, "wanted"): decision.desired, **counts},
            metrics.REQUESTS_IN_FLIGHT: {(service,): sum(instance.in_flight for instance in pool.instances)},
            metrics.ACTIVATOR_WAITING: {(service,): self.fleet.activator.queued(key)},
            metrics.AUTOSCALER_PANICKING: {(service,): float(decision.panicking)},
        }
        if concurrency:
            readings[metrics.INSTANCES_CAPACITY] = {(service,): len(pool.ready) * concurrency}
        return readings


def merge(readings: Sequence[Readings]) -> Readings:
    """Merge readings, so that each metric has one family with the series from all sources."""
    merged: dict[Metric, dict[Labels, float | Distribution]] = defaultdict(dict)
    for each in readings:
        for metric, values in each.items():
            merged[metric].update(values)
    return dict(merged)


def _label(dispatcher: Dispatcher) -> str:
    """Return a Trigger's name, or `subscription` and the name of a Subscription, which may be a Trigger's too."""
    return dispatcher.name if dispatcher.kind == "trigger" else f"{dispatcher.kind} {dispatcher.name}"


def _deliveries(dispatcher: Dispatcher) -> Readings:
    return {metrics.DELIVERIES: {(_label(dispatcher), outcome): dispatcher.counts[outcome] for outcome in COUNTED}}


def _restarts(server: Server) -> int:
    return server.restarts if isinstance(server, SupervisedServer) else 0


async def _is_up(server: Server) -> bool:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await server.check()
    except (DependencyUnavailableError, TimeoutError):
        return False
    return True
