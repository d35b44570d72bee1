"""The current status of the running stack, as shown by `darkroom status`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nats.errors

from darkroom.diagnosis.servers import SLOW_ANSWER_S
from darkroom.errors import DependencyUnavailableError
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.destinations import ServiceTarget, locate
from darkroom.local.eventing.dispatch import COUNTED, Dispatcher
from darkroom.local.eventing.receivers import only_type_of
from darkroom.local.eventing.stream import ChannelStream, consumer_name
from darkroom.local.extension import Application, NoApplication
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.revisions.pool import Pool
from darkroom.local.run_folder import RunFolder
from darkroom.local.watching.answering import answering_time, is_stopped
from darkroom.local.watching.entry_points import EntryPoints
from darkroom.manifests.left_out import LeftOut, Note
from darkroom.manifests.revision import ServiceKey
from darkroom.redaction import redacted

ANSWER_WITHIN_S = 4.0
"""The deadline of each dependency, so that one that hangs is shown as such. `darkroom status` waits for ten seconds."""
TYPES_SHOWN = 100
"""Of the events of one Broker, the most frequent ones."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    servers: Mapping[str, Server]
    fleet: Fleet
    brokers: Brokers
    application: Application
    folder: RunFolder
    entry_points: EntryPoints = field(default_factory=EntryPoints)
    left_out: Sequence[LeftOut] = ()
    notes: Sequence[Note] = ()
    pending: dict[str, asyncio.Future[Mapping[str, Any]]] = field(default_factory=dict)
    """The application's sections that have not been read within an earlier deadline."""

    async def status(self) -> dict[str, Any]:
        disk = self.folder.disk_state()
        backlog, waiting, servers, sections = await asyncio.gather(
            _backlog(self.brokers.streams.values()),
            _backlog(self.brokers.channels.streams.values()),
            asyncio.gather(*(_server(server, disk) for server in self.servers.values())),
            asyncio.gather(*(self._section(name, read) for name, read in self.application.status.items())),
        )
        return {
            "functions": [self._function(key) for key in self.fleet.pools],
            **self.entry_points.as_dict(),
            "brokers": self._brokers(),
            "triggers": [self._receiver(each, backlog, "broker") for each in self._dispatchers("trigger")],
            "subscriptions": [self._receiver(each, waiting, "channel") for each in self._dispatchers("subscription")],
            "servers": servers,
            "data": {"path": str(self.folder.path), "free_bytes": self.folder.free_bytes(), "state": disk},
            "has_extension": not isinstance(self.application, NoApplication),
            "left_out": [each.as_dict() for each in self.left_out],
            "notes": [each.as_dict() for each in self.notes],
            **dict(sections),
        }

    def _function(self, key: ServiceKey) -> dict[str, Any]:
        pool, decision = self.fleet.pools[key], self.fleet.scalers[key].decision
        states = [instance.state for instance in pool.instances]
        return {
            "service": pool.revision.label,
            "namespace": pool.revision.namespace,
            "name": pool.revision.service,
            "revision": pool.revision.name,
            "revision_at": pool.revision_at,
            "ready": states.count(InstanceState.READY),
            "unready": states.count(InstanceState.UNREADY),
            "starting": states.count(InstanceState.STARTING),
            "draining": states.count(InstanceState.DRAINING),
            "wanted": decision.desired,
            "panicking": decision.panicking,
            "capped": pool.processes < pool.desired and InstanceState.STARTING not in states and not pool.trouble,
            "limit": pool.limit,
            "how": getattr(pool.launch, "how", ""),
            "remarks": pool.remarks,
            "not_run": pool.not_run or None,
            "failing": None if pool.trouble is None else pool.trouble.as_dict(),
            "refused": None if pool.refused is None else pool.refused.as_dict(),
            "in_flight": sum(instance.in_flight for instance in pool.instances),
            "waiting": self.fleet.activator.queued(key),
            "min_scale": pool.revision.scaling.min_scale,
            "max_scale": pool.revision.scaling.max_scale,
            "container_concurrency": pool.revision.container_concurrency,
            "unready_because": _unready_because(pool),
            "pids": [instance.process.pid for instance in pool.instances if instance.process is not None],
        }

    def _dispatchers(self, kind: str) -> list[Dispatcher]:
        return [dispatcher for dispatcher in self.brokers.all_dispatchers if dispatcher.kind == kind]

    def _brokers(self) -> list[dict[str, Any]]:
        types = self.brokers.ingress.types
        return [
            {**row, "types": dict(types[row["namespace"], row["name"]].most_common(TYPES_SHOWN))}
            for row in self.entry_points.as_dict()["brokers"]
        ]

    def _receiver(self, dispatcher: Dispatcher, backlog: Mapping[str, int], origin: str) -> dict[str, Any]:
        counts, route = dispatcher.counts, dispatcher.route
        return {
            dispatcher.kind: dispatcher.name,
            "namespace": route.receiver.namespace,
            "name": route.receiver.name,
            origin: route.origin[1],
            f"{origin}_namespace": route.origin[0],
            "subscriber": route.subscriber_name,
            "service": self._service(route.subscriber_name),
            "filter_type": only_type_of(route.receiver),
            "dead_letter_sink": route.dead_letter_name,
            "max_ack_pending": route.consumer.max_ack_pending,
            "timeout_s": route.consumer.http_timeout_s,
            "backlog": backlog.get(consumer_name(route.receiver)),
            "in_flight": dispatcher.in_flight,
            "last_failure": dispatcher.last_failure,
            "last_lost": dispatcher.last_lost,
            "last_accepted_at": dispatcher.last_accepted_at,
            "progressed_at": dispatcher.progressed_at,
            **{name: counts[name] for name in COUNTED},
        }

    def _service(self, subscriber: str) -> str | None:
        """Return the label of the Service at a URL of the cluster; None if something else is there."""
        match locate(subscriber, self.fleet.pools):
            case ServiceTarget(service=service):
                return self.fleet.pools[service].revision.label
            case _:
                return None

    async def _section(self, name: str, read: Callable[[], Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
        """Read one of the application's own sections. Its clients block, so it is read in a thread, one at a time."""
        reading = self.pending.pop(name, None) or asyncio.ensure_future(asyncio.to_thread(read))
        await asyncio.wait([reading], timeout=ANSWER_WITHIN_S)
        if not reading.done():
            self.pending[name] = reading
            return name, {"error": _no_answer()}
        try:
            return name, reading.result()
        except DependencyUnavailableError as exc:
            return name, {"error": exc.detail}


async def _backlog(streams: Iterable[ChannelStream]) -> dict[str, int]:
    """Return the number of events that are not done with, by consumer."""
    found = await asyncio.gather(*(_backlog_of(stream) for stream in streams))
    return {consumer: count for each in found for consumer, count in each.items()}


async def _backlog_of(stream: ChannelStream) -> Mapping[str, int]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await stream.backlog()
    except (nats.errors.Error, DependencyUnavailableError, TimeoutError):
        # NATS is down: the backlog is shown as unknown, and the servers' section shows why.
        return {}


def _no_answer() -> str:
    return f"no answer within {ANSWER_WITHIN_S:g} s"


def _unready_because(pool: Pool) -> str:
    """Return the last answer of the readiness probe of an instance that is not ready any more."""
    unready = [one.readiness for one in pool.instances if one.state is InstanceState.UNREADY]
    return next((probe.last_answer for probe in unready if probe is not None), "")


async def _server(server: Server, disk: str) -> dict[str, Any]:
    ours = server if isinstance(server, SupervisedServer) else None
    answered_in_s = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answered_in_s = await answering_time(server.check, retry_above_s=SLOW_ANSWER_S)
        state = "up" if ours is None or disk == "ok" else disk
    except DependencyUnavailableError as exc:
        state = exc.detail
    except TimeoutError:
        state = _no_answer()
    pid = ours.pid if ours else None
    return {
        "name": server.name,
        "url": redacted(server.url),
        "state": state,
        "answered_in_s": answered_in_s,
        "restarts": ours.restarts if ours else 0,
        "is_ours": ours is not None,
        "pid": pid,
        "is_stopped": pid is not None and state != "up" and is_stopped(pid),
    }
