"""The whole local runtime, wired together in one place: the order in which parts are started and stopped.

Read it from top to bottom. Decisions are made in the manifests and in the parts, not here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from darkroom import telemetry
from darkroom.connections import ConnectionLimits, bounded, descriptors
from darkroom.errors import DependencyUnavailableError, SettingsError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.addresses import Addresses
from darkroom.local.browsers import refuse_pages
from darkroom.local.chaos.routes import chaos_routes
from darkroom.local.chaos.run import Chaos, Parts
from darkroom.local.children import ports
from darkroom.local.children.fork_server import ForkServer
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.console.child import ConsoleProcess
from darkroom.local.console.forwarding import console_routes
from darkroom.local.console.plan import ConsolePlan
from darkroom.local.errors import LocalRuntimeError
from darkroom.local.eventing.broker import Ingress
from darkroom.local.eventing.brokers import AdaptRoute, Brokers, as_it_is
from darkroom.local.eventing.doors import Door, Entrance, enter
from darkroom.local.eventing.ping import run_ping_source
from darkroom.local.eventing.record.recorder import RecordLimits
from darkroom.local.eventing.subscribers import Subscribers
from darkroom.local.extension import Announcing, Application, NoApplication, Run, load_application
from darkroom.local.front.gateway import Gateway, Resolve
from darkroom.local.front.routes import Backend, RouteTable
from darkroom.local.front.sinks import SinkAddresses
from darkroom.local.http_server import Listener, quiet_accepts
from darkroom.local.resources import ExternalServers, ResourceServers, ServerPorts
from darkroom.local.revisions.binding import bindings
from darkroom.local.revisions.code_watch import keep_current
from darkroom.local.revisions.environment import LocalSecrets, runnable
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceContext, interpreter_env
from darkroom.local.revisions.launching import Launcher
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.manifest_watch import ManifestWatch
from darkroom.local.run_folder import RunFolder
from darkroom.local.watching.admin import admin_application
from darkroom.local.watching.autoscaler_api import autoscaler_routes
from darkroom.local.watching.disk import watch_disk
from darkroom.local.watching.entry_points import EntryPoints, entry_points
from darkroom.local.watching.event_log import EventLog
from darkroom.local.watching.flow_map import FlowMap, map_routes
from darkroom.local.watching.flow_rates import FlowRates
from darkroom.local.watching.log_tail import log_routes
from darkroom.local.watching.overview import Overview
from darkroom.local.watching.readings import Measurements
from darkroom.local.watching.record_api import RecordApi
from darkroom.local.watching.resource_usage import StorageSize
from darkroom.local.watching.why import Why
from darkroom.manifests import Destination, ManifestError, Manifests, PingSource, load, with_namespace
from darkroom.manifests.left_out import refused_if_strict, summarised
from darkroom.manifests.project import PROJECT_FILE, Project
from darkroom.manifests.revision import Revision

DEFAULT_PORT = 8080
PING_TIMEOUT_S = 60.0
DRAIN_S = 10.0
"""How long requests in progress may take after a stop. The next start redoes what is interrupted."""
SERVERS_STOP_S = 12.0
"""A little more than supervision gives each server."""


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    project: Project
    data: Path
    port: int | None = None
    """The API's port; broker, admin, NATS, Redis, S3 and PostgreSQL take the six ports after it. None: free ports."""
    external: ExternalServers = field(default_factory=ExternalServers)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables of functions that the user sets for this run; they override the manifests and the project file. `{api}`
    and `{admin}` as values are those addresses, which are known once the ports are chosen.
    """
    hosts: Collection[str] | None = ()
    """Names under which the API is served, besides this machine's and those of HTTPRoutes. None: any; for what asks for
    keys.
    """
    strict: bool = False
    """True: what would be left out stops the start."""
    private_servers: bool = False
    """True: NATS and Redis ask for a password, because the API asks for keys too."""
    max_instances: int | None = None
    window_s: float | None = None
    record: RecordLimits | None = field(default_factory=RecordLimits)
    """How much is kept of what happens to events; None: nothing."""
    console_keys: Path | None = None
    """The file of operators' keys that the console asks for; None: it asks for none."""
    watch: bool = False
    fork_server: bool = True
    """True: fork instances from a process that has loaded their libraries. False: start a new interpreter for each."""
    adapt_route: AdaptRoute = as_it_is
    """Changes each Trigger's route, as tests do."""


@dataclass(frozen=True, kw_only=True)
class _Ports:
    api: int
    broker: int
    admin: int
    nats: int
    redis: int
    s3: int
    postgres: int

    @classmethod
    def choose(cls, first: int | None) -> _Ports:
        names = ("api", "broker", "admin", "nats", "redis", "s3", "postgres")
        if first is None:
            return cls(**{name: ports.free_port() for name in names})
        return cls(**{name: first + offset for offset, name in enumerate(names)})


class Stack:
    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._root = options.project.root
        self.events = EventLog()
        self._report = self.events.report
        self._folder = RunFolder(options.data)
        self._resources = ResourceServers(
            options.project, options.external, self._folder, is_private=options.private_servers
        )
        self._application: Application = NoApplication()
        self._entry_points = EntryPoints()
        self._fleet = Fleet(InstanceLimit(options.max_instances), self._report)
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._brokers: Brokers | None = None
        self._gateway: Gateway | None = None
        self._sinks: SinkAddresses | None = None
        self._http: aiohttp.ClientSession | None = None
        self._chaos: Chaos | None = None
        self._console: ConsoleProcess | None = None
        self._logs: LogDirectory | None = None
        self._forks: ForkServer | None = None
        self._unused: list[str] = []
        self._hurried = asyncio.Event()
        self._began_at = 0.0
        """In seconds since the epoch."""

    async def start(self) -> Addresses:
        """Start, until the API answers. Raises LocalRuntimeError or ManifestError; call `stop` in any case."""
        self._began_at = time.time()
        manifests = load(self._options.project.manifests, strict=self._options.strict)
        quiet_accepts(asyncio.get_running_loop())
        self._begin_telemetry()
        logs, chosen = self._claim_folder_and_ports()
        await self._resources.start(logs, _server_ports(chosen), self._report)
        addresses = _addresses(chosen, self._resources.urls)
        manifests, revisions, run = self._prepare_run(manifests, addresses)
        self._console = self._make_console(run, addresses, logs)
        self._application = load_application(self._options.project.extension, run)
        await self._prepare_at_start()
        self._entry_points = entry_points(manifests, addresses, {each.key for each in revisions if each.cluster_local})
        brokers, ingress = await self._open_brokers(manifests, addresses)
        self._fill_fleet(manifests, revisions, logs)
        subscribers = await self._dispatch(brokers, ingress)
        await self._open_doors(manifests, brokers, ingress, chosen, addresses)
        self._run_scalers()
        await self._bind(manifests, addresses)
        await self._fleet.wait_until_ready(self._folder.logs)
        self._run_sources(manifests, subscribers)
        self._watch(manifests, run.variables)
        self._spawn(watch_disk(self._folder.disk_state, self._report), "disk")
        self._folder.write_runtime(addresses)
        self._report("stack.ready", api=addresses.api)
        return addresses

    def _claim_folder_and_ports(self) -> tuple[LogDirectory, _Ports]:
        self._folder.lock()
        self._logs = logs = LogDirectory(self._folder.logs, on_failure=self._log_failed)
        self._forks = self._fork_server(logs)
        chosen = _Ports.choose(self._options.port)
        for port in (chosen.api, chosen.broker, chosen.admin):
            ports.require_free(port)
        return logs, chosen

    def _prepare_run(self, manifests: Manifests, addresses: Addresses) -> tuple[Manifests, list[Revision], Run]:
        """Return what can run, its revisions, and what the application is told, now that the servers' addresses are
        known.
        """
        known = {"{api}": addresses.api, "{admin}": addresses.admin}
        chosen_settings = {name: known.get(value, value) for name, value in self._options.settings.items()}
        variables = {**self._resources.variables(), **chosen_settings}
        manifests, revisions = self._runnable(manifests, variables)
        settings = {name: value for revision in revisions for name, value in revision.env.items()}
        self._folder.write_settings({**settings, **variables})
        run = Run(
            project_root=self._root,
            variables=variables,
            settings=settings,
            addresses=addresses.as_dict(),
            logs=self._folder.logs,
        )
        return manifests, revisions, run

    async def _open_brokers(self, manifests: Manifests, addresses: Addresses) -> tuple[Brokers, Ingress]:
        options = self._options
        self._brokers = brokers = Brokers(
            manifests, self._report, self._spawn, record=options.record, adapt=options.adapt_route
        )
        return brokers, await brokers.open(addresses.nats, partial(self._prepare, {"nats"}))

    async def _dispatch(self, brokers: Brokers, ingress: Ingress) -> Subscribers:
        self._http = aiohttp.ClientSession()
        subscribers = Subscribers(self._fleet.activator, ingress, self._http)
        await brokers.dispatch(subscribers, ingress)
        return subscribers

    async def _open_doors(
        self, manifests: Manifests, brokers: Brokers, ingress: Ingress, chosen: _Ports, addresses: Addresses
    ) -> None:
        """Listen for events, for the commands, and for requests from outside."""
        self._chaos = chaos = self._make_chaos(brokers, ingress)
        self._gateway = gateway = Gateway(
            self._fleet.activator,
            _resolver(RouteTable(manifests.routes)),
            route_template=self._application.route_template,
            port=chosen.api,
            hosts=self._served_hosts(manifests),
        )
        await self._listen("Brokers' ingress", chosen.broker, ingress.application(), share=0.08, hosts=ingress.hosts)
        admin = self._admin(manifests, brokers, gateway)
        admin.add_routes(chaos_routes(chaos))
        admin.add_routes(self._flow_routes(manifests, brokers, addresses))
        if self._console is not None:
            admin.add_routes(console_routes(self._console))
        await self._listen("admin", chosen.admin, admin, share=0.03)
        await gateway.start()

    async def _bind(self, manifests: Manifests, addresses: Addresses) -> None:
        bound = bindings(manifests)
        self._sinks = sinks = SinkAddresses(self._fleet.activator, addresses.broker)
        await sinks.open(binding.sink for binding in bound.values())
        await self._fleet.bind(bound, sinks.url)

    @property
    def entry_points(self) -> EntryPoints:
        """Where the project is reached, once it is up."""
        return self._entry_points

    @property
    def banner(self) -> Sequence[str]:
        """What the application has to say, once everything is up."""
        application = self._application
        return application.banner(self._gateway.url) if isinstance(application, Announcing) and self._gateway else ()

    def hurry(self) -> None:
        """End a `stop` that is under way without waiting any longer. What is interrupted continues next time."""
        self._hurried.set()

    async def stop(self) -> None:
        """Stop accepting, drain, cancel, close, in this order. Works after an incomplete start too."""
        self._folder.remove_runtime()
        if self._chaos is not None:
            await self._chaos.close()
        if self._console is not None:
            await self._console.close()
        if self._gateway is not None:
            self._report("stack.stopping", waits_for=self._in_flight(), at_most_s=DRAIN_S)
        if not await self._unless_hurried(self._drain(), DRAIN_S):
            self._report("stack.drain_cut_short", interrupted=self._in_flight())
        await self._end_functions()
        if self._brokers is not None:
            await self._brokers.close()
        await asyncio.to_thread(self._application.close)
        if not await self._unless_hurried(self._resources.stop(), SERVERS_STOP_S):
            self._report("stack.servers_killed")
        if self._logs is not None:
            self._logs.close()
        self._folder.unlock()
        await asyncio.to_thread(telemetry.finish)

    async def _drain(self) -> None:
        """Accept nothing new, and wait for what is under way: first requests and deliveries, then the functions."""
        doors = [door.close() for door in (self._gateway, self._sinks) if door is not None]
        deliveries = [] if self._brokers is None else [self._brokers.stop_dispatching()]
        await asyncio.gather(*doors, *deliveries)
        await self._fleet.close_pools()

    async def _end_functions(self) -> None:
        """End what has not been drained."""
        await asyncio.gather(*(listener.close() for listener in self._listeners))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fleet.close_pools(drain=False)
        if self._forks is not None:
            await self._forks.close()
        await self._fleet.activator.close()
        if self._http is not None:
            await self._http.close()

    async def _unless_hurried(self, work: Coroutine[Any, Any, None], timeout_s: float) -> bool:
        """Wait for work that can be cancelled; returns False if it was, after the timeout or by `hurry`."""
        working = asyncio.create_task(work)
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait([working, hurried], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        await asyncio.wait([working])
        return False

    def _in_flight(self) -> str:
        """Describe what a stop waits for; empty if nothing is under way."""
        requests = [
            f"{count} request{'s' if count > 1 else ''} at {pool.revision.label}"
            for key, pool in self._fleet.pools.items()
            if (count := self._fleet.activator.meter(key).current)
        ]
        dispatchers = [] if self._brokers is None else self._brokers.all_dispatchers
        deliveries = [
            f"{one.in_flight} of them by the {one.kind.capitalize()} {one.name}" for one in dispatchers if one.in_flight
        ]
        return ", ".join([*requests, *deliveries])

    def _log_failed(self, name: str, error: OSError) -> None:
        self._report("log.not_written", log=name, error=error.strerror)

    def _served_hosts(self, manifests: Manifests) -> Collection[str] | None:
        """Return the names under which the API is served, besides this machine's; None: any."""
        if self._options.hosts is None:
            return None
        return {*self._options.hosts, *(name.lower() for route in manifests.routes for name in route.spec.hostnames)}

    def _begin_telemetry(self) -> None:
        try:
            spans.begin(self._report)
        except SettingsError as exc:
            raise LocalRuntimeError(str(exc)) from exc

    async def _prepare_at_start(self) -> None:
        try:
            await self._prepare(self._resources.servers)
        except DependencyUnavailableError as exc:
            raise LocalRuntimeError(f"could not prepare the servers: {exc.detail}") from exc
        except SettingsError as exc:
            raise LocalRuntimeError(str(exc)) from exc

    async def _prepare(self, servers: Collection[str]) -> None:
        await asyncio.to_thread(self._application.prepare, servers)

    # --- functions ---------------------------------------------------------------------------------------------------

    def _own_pids(self) -> list[int]:
        return [os.getpid(), *(self._forks.pids if self._forks is not None else [])]

    def _fork_server(self, logs: LogDirectory) -> ForkServer | None:
        # On other systems, system libraries do not survive a fork without an exec.
        if not self._options.fork_server or not sys.platform.startswith("linux"):
            return None
        extension = self._options.project.extension
        forks = ForkServer(
            env={**interpreter_env(self._root), **spans.variables_for_functions(os.environ)},
            cwd=self._root.resolve(),
            preload=() if extension is None else (f"{extension}.preload",),
            on_line=logs.sink("fork-server"),
            report=self._report,
        )
        forks.start()
        return forks

    def _runnable(self, manifests: Manifests, settings: Mapping[str, str]) -> tuple[Manifests, list[Revision]]:
        """Leave out what cannot be started on this machine, and tell what is left out. Raises LocalRuntimeError."""
        manifests, revisions = self._resolve(manifests, settings)
        if self._options.strict and (refused := refused_if_strict(manifests.left_out)):
            raise ManifestError(refused)
        if manifests.left_out and not manifests.runs_something:
            reasons = "\n  ".join(summarised(manifests.left_out))
            raise LocalRuntimeError(f"nothing in these manifests runs here:\n  {reasons}")
        for text in summarised(manifests.left_out):
            self._report("manifest.left_out", text=text)
        for text in summarised(manifests.notes):
            self._report("manifest.note", text=text)
        return manifests, revisions

    def _resolve(self, manifests: Manifests, settings: Mapping[str, str]) -> tuple[Manifests, list[Revision]]:
        project = self._options.project
        secrets = LocalSecrets(values=project.secrets, file=project.secrets_file)
        manifests, revisions = runnable(manifests, settings=settings, secrets=secrets)
        return manifests, [self._with_window(revision) for revision in revisions]

    def _fill_fleet(self, manifests: Manifests, revisions: Sequence[Revision], logs: LogDirectory) -> None:
        project, images = self._options.project, {revision.image for revision in revisions}
        context = InstanceContext(
            project_root=self._root,
            data_dir=self._folder.path,
            launcher=Launcher(root=self._root, data=self._folder.path, images=project.images, is_only=len(images) == 1),
            logs=logs,
            env=spans.variables_for_functions(os.environ),
            forks=self._forks,
        )
        for revision in revisions:
            self._fleet.add(revision, context)
        for name, deployment in manifests.backends.items():
            if name != deployment:
                self._fleet.activator.alias(name, deployment)
        self._unused = [str(finding) for finding in project.images.unused(images)]
        not_run = [pool.not_run for pool in self._fleet.pools.values() if pool.not_run]
        if self._options.strict and not_run:
            raise LocalRuntimeError("\n  ".join(["these would not be run:", *not_run]))

    def remarks(self) -> list[str]:
        """Return sentences about Services that are not run, and about what may keep others from working."""
        return [*(each for pool in self._fleet.pools.values() for each in pool.remarks), *self._unused]

    def _with_window(self, revision: Revision) -> Revision:
        if self._options.window_s is None:
            return revision
        return replace(revision, scaling=replace(revision.scaling, window_s=self._options.window_s))

    # --- servers and background tasks --------------------------------------------------------------------------------

    def _admin(self, manifests: Manifests, brokers: Brokers, gateway: Gateway) -> web.Application:
        overview = Overview(
            servers=self._resources.servers,
            fleet=self._fleet,
            brokers=brokers,
            application=self._application,
            folder=self._folder,
            entry_points=self._entry_points,
            left_out=manifests.left_out,
            notes=manifests.notes,
        )
        measurements = Measurements(
            servers=self._resources.servers,
            fleet=self._fleet,
            brokers=brokers,
            application=self._application,
            requests=gateway.request_times,
            own_pids=self._own_pids,
            storage=StorageSize(self._folder.path / "s3") if self._resources.runs_own_s3 else None,
            report=self._report,
        )
        application = admin_application(overview.status, self.events, measurements.read)
        application.add_routes(Why(overview.status, self._application).routes())
        RecordApi(brokers).add_routes(application)
        return application

    def _flow_routes(self, manifests: Manifests, brokers: Brokers, addresses: Addresses) -> Sequence[web.RouteDef]:
        rates = FlowRates(brokers)
        self._spawn(rates.run(), "flow rates")
        flow_map = FlowMap(
            manifests=manifests, fleet=self._fleet, brokers=brokers, rates=rates, broker_address=addresses.broker
        )
        return [*map_routes(flow_map), *autoscaler_routes(self._fleet), *log_routes(self._folder.logs)]

    def _make_console(self, run: Run, addresses: Addresses, logs: LogDirectory) -> ConsoleProcess:
        keys = self._options.console_keys
        plan = ConsolePlan(
            admin=addresses.admin,
            project_root=str(self._root.resolve()),
            audit_file=str(self._folder.path / "audit.jsonl"),
            extension=self._options.project.extension,
            keys_file=None if keys is None else str(keys.absolute()),
            variables=run.variables,
            settings=run.settings,
            addresses=run.addresses,
            logs=str(self._folder.logs),
        )
        return ConsoleProcess(
            write_plan=lambda: self._folder.write_console_plan(plan.as_dict()),
            env=interpreter_env(self._root),
            cwd=self._root.resolve(),
            on_line=logs.sink("console"),
            report=self._report,
        )

    def _make_chaos(self, brokers: Brokers, ingress: Ingress) -> Chaos:
        parts = Parts(
            fleet=self._fleet,
            brokers=brokers,
            ingress=ingress,
            servers=self._resources.servers,
            sections=self._application.status,
            report=self._report,
        )
        chaos = Chaos(parts, self._spawn)
        self.events.subscribe(chaos.observe)
        return chaos

    async def _listen(
        self, name: str, port: int, application: web.Application, *, share: float, hosts: Collection[str] = ()
    ) -> None:
        """Serve the application. `share` is its part of this process' descriptors."""
        refuse_pages(application, hosts)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        listener = Listener(name, runner, ConnectionLimits(max_open=bounded(descriptors() * share)))
        self._listeners.append(listener)
        await listener.start(LOOPBACK, port)

    def _run_scalers(self) -> None:
        for (namespace, name), scaler in self._fleet.scalers.items():
            self._spawn(scaler.run(), f"scaler {namespace}/{name}")

    def _run_sources(self, manifests: Manifests, subscribers: Subscribers) -> None:
        for source in manifests.ping_sources:
            sink = with_namespace(source.spec.sink, source.namespace)
            self._spawn(self._ping(source, sink, subscribers), f"ping source {source.namespace}/{source.name}")

    def _watch(self, manifests: Manifests, settings: Mapping[str, str]) -> None:
        if not self._options.watch:
            return
        project, pools = self._options.project, self._fleet.pools
        code = keep_current(
            pools, self._shared_code, self._report, began_at=self._began_at, ignored=[self._folder.path]
        )
        self._spawn(code, "watch of the code")
        files = ManifestWatch(
            paths=project.manifests,
            manifests=manifests,
            strict=self._options.strict,
            others=[self._root / name for name in (PROJECT_FILE, project.secrets_file)],
            resolve=partial(self._resolve, settings=settings),
            pools=pools,
            report=self._report,
        )
        self._spawn(files.run(), "watch of the manifests")

    def _shared_code(self) -> list[Path]:
        return [folder for folder in self._application.code if folder.exists()]

    async def _ping(self, source: PingSource, sink: Destination, subscribers: Subscribers) -> None:
        entrance = Entrance(door=Door.SOURCE, name=f"PingSource {source.namespace}/{source.name}")

        async def send(event: CloudEvent) -> None:
            with enter(entrance):
                await subscribers.send(sink, event, timeout_s=PING_TIMEOUT_S)

        await run_ping_source(source, send, self._report)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(_report_crash, self.events))
        self._tasks.append(task)
        return task


def _report_crash(events: EventLog, task: asyncio.Task[None]) -> None:
    """Report a background task that crashed. Such a task only ever ends by being cancelled."""
    if not task.cancelled() and task.exception() is not None:
        events.report("part.crashed", part=task.get_name(), error=repr(task.exception()))


def _resolver(table: RouteTable) -> Resolve:
    def resolve(method: str, host: str, path: str, headers: Mapping[str, str]) -> Backend | None:
        return table.find(method=method, host=host, path=path, headers=headers)

    return resolve


def _server_ports(chosen: _Ports) -> ServerPorts:
    return ServerPorts(nats=chosen.nats, redis=chosen.redis, s3=chosen.s3, postgres=chosen.postgres)


def _addresses(chosen: _Ports, servers: Mapping[str, str]) -> Addresses:
    return Addresses(
        api=f"http://{LOOPBACK}:{chosen.api}",
        broker=f"http://{LOOPBACK}:{chosen.broker}",
        admin=f"http://{LOOPBACK}:{chosen.admin}",
        **servers,
    )
