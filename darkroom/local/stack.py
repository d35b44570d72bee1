"""The whole local runtime, wired in one place: what is started in which order, and stopped in the other.

Reads top to bottom. Nothing is decided here; that is the manifests' and the parts' business.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import nats
from aiohttp import web
from nats.aio.client import Client

from darkroom import telemetry
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.errors import DependencyUnavailableError, SettingsError
from darkroom.events.cloudevents import CloudEvent
from darkroom.local import spans
from darkroom.local.addresses import Addresses
from darkroom.local.children import ports, servers
from darkroom.local.children.fork_server import ForkServer
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.servers import S3Credentials, ServerHome
from darkroom.local.children.supervision import Server, start_all, stop_all
from darkroom.local.errors import LocalRuntimeError
from darkroom.local.eventing.broker import BrokerAddress, Ingress
from darkroom.local.eventing.delivery import consumer_settings, delivery_of
from darkroom.local.eventing.dispatch import Dispatcher, Route
from darkroom.local.eventing.ping import run_ping_source
from darkroom.local.eventing.stream import BrokerStream
from darkroom.local.eventing.subscribers import Subscribers, name_of
from darkroom.local.front.gateway import Gateway, Resolve
from darkroom.local.front.routes import Backend, RouteTable
from darkroom.local.revisions.activator import Activator
from darkroom.local.revisions.environment import revisions, sinks
from darkroom.local.revisions.instances import Surroundings, interpreter_env
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.scaler import Scaler
from darkroom.local.revisions.watch import keep_current
from darkroom.local.run_folder import RunFolder
from darkroom.local.watching.admin import admin_application
from darkroom.local.watching.consumption import StorageSize
from darkroom.local.watching.event_log import EventLog
from darkroom.local.watching.overview import Overview
from darkroom.local.watching.readings import Measurements
from darkroom.manifests import Destination, Manifests, PingSource, load, resolved
from darkroom.manifests.revision import Revision

DEFAULT_PORT = 8080
BUCKET = "processed-images"
DEAD_LETTER_STREAM = Path("nats-eventing/deadletter-stream.json")
READY_WITHIN_S = 60.0
DRAIN_S = 10.0
"""How long requests under way may take once we are told to stop; what is cut off, the next start does again."""
PING_TIMEOUT_S = 60.0
ENSURE_AGAIN_AFTER_S = 1.0


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    manifests: tuple[Path, ...]
    data: Path
    project_root: Path = Path()
    port: int | None = None
    """Of the API; broker, admin, NATS, Redis and S3 take the five after it. None: free ports."""
    nats_url: str | None = None
    redis_url: str | None = None
    s3_url: str | None = None
    max_instances: int | None = None
    window_s: float | None = None
    watch: bool = False
    fork_server: bool = True
    """Instances are forked from a process that has loaded their libraries; False: each is a new interpreter."""
    api_keys: Path | None = None
    """The file of API keys; None: keys are off, and whoever reaches this machine's loopback is let in."""
    rate_limit: str = "off"
    """Of ingest and of status each, like `60/minute`."""


@dataclass(frozen=True, kw_only=True)
class _Ports:
    api: int
    broker: int
    admin: int
    nats: int
    redis: int
    s3: int

    @classmethod
    def choose(cls, first: int | None) -> _Ports:
        names = ("api", "broker", "admin", "nats", "redis", "s3")
        if first is None:
            return cls(**{name: ports.free_port() for name in names})
        return cls(**{name: first + offset for offset, name in enumerate(names)})


class Stack:
    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self.events = EventLog()
        self._folder = RunFolder(options.data)
        self._servers: dict[str, Server] = {}
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._dispatchers: list[Dispatcher] = []
        self._streams: dict[BrokerAddress, BrokerStream] = {}
        self._pools: dict[str, Pool] = {}
        self._scalers: dict[str, Scaler] = {}
        self._gateway: Gateway | None = None
        self._connection: Client | None = None
        self._ensuring: asyncio.Task[None] | None = None
        self._activator: Activator | None = None
        self._http: aiohttp.ClientSession | None = None
        self._logs: LogDirectory | None = None
        self._forks: ForkServer | None = None

    async def start(self) -> Addresses:
        """Returns when the API answers. Raises LocalRuntimeError or ManifestError; call `stop` in any case."""
        manifests = load(self._options.manifests)
        self._begin_telemetry()
        self._folder.lock()
        self._logs = LogDirectory(self._folder.logs)
        self._start_fork_server(self._logs)
        chosen = _Ports.choose(self._options.port)
        for port in (chosen.api, chosen.broker, chosen.admin):
            ports.require_free(port)
        credentials = self._credentials()
        await self._start_servers(chosen, credentials)
        addresses = self._addresses(chosen)
        settings = {**_function_settings(addresses, credentials), **_front_door_settings(self._options)}
        await self._prepare(addresses, credentials)
        self._connection = await self._connect(addresses.nats)
        ingress = await self._start_brokers(manifests, self._connection)
        self._activator = activator = Activator(poke=self._poke)
        self._make_pools(manifests, settings, addresses, activator)
        self._http = aiohttp.ClientSession()
        subscribers = Subscribers(activator, ingress, self._http)
        await self._start_dispatchers(manifests, subscribers, ingress, self._connection)
        jobs = RedisJobStore(addresses.redis)
        overview = Overview(
            servers=self._servers,
            pools=self._pools,
            scalers=self._scalers,
            activator=activator,
            dispatchers=self._dispatchers,
            streams=self._streams,
            jobs=jobs,
        )
        self._gateway = Gateway(activator, _resolver(RouteTable(manifests.routes)), port=chosen.api)
        measurements = Measurements(
            servers=self._servers,
            pools=self._pools,
            scalers=self._scalers,
            activator=activator,
            dispatchers=self._dispatchers,
            streams=tuple(self._streams.values()),
            connection=self._connection,
            jobs=jobs,
            requests=self._gateway.request_times,
            own_pids=self._own_pids,
            storage=None if self._options.s3_url else StorageSize(self._folder.path / "s3"),
            report=self.events.report,
        )
        await self._listen(chosen.broker, ingress.application())
        await self._listen(chosen.admin, admin_application(overview.status, self.events, measurements.read))
        await self._gateway.start()
        self._run_in_background(manifests, subscribers)
        await self._until_front_door_is_open()
        self._folder.write_runtime(addresses)
        self.events.report("stack.ready", api=addresses.api)
        return addresses

    async def stop(self) -> None:
        """Stop accepting, drain, cancel, close; in this order, and whatever of it was started."""
        self._folder.remove_runtime()
        if self._gateway is not None:
            await self._gateway.close()
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(dispatcher.stop() for dispatcher in self._dispatchers))
        await self._close_pools()
        if self._forks is not None:
            await self._forks.close()
        if self._activator is not None:
            await self._activator.close()
        if self._http is not None:
            await self._http.close()
        if self._connection is not None:
            await self._connection.close()
        await stop_all(list(self._servers.values()))
        if self._logs is not None:
            self._logs.close()
        self._folder.unlock()
        await asyncio.to_thread(telemetry.finish)

    def _begin_telemetry(self) -> None:
        try:
            spans.begin(self.events.report)
        except SettingsError as exc:
            raise LocalRuntimeError(str(exc)) from exc

    # --- servers -----------------------------------------------------------------------------------------------------

    async def _start_servers(self, chosen: _Ports, credentials: S3Credentials) -> None:
        options, report = self._options, self.events.report
        if self._logs is None:
            raise RuntimeError("the log directory is made first")
        home = ServerHome(data_dir=self._folder.path, logs=self._logs, report=report)
        self._servers = {
            "nats": servers.external_nats(options.nats_url, report)
            if options.nats_url
            else servers.nats_server(home, port=chosen.nats),
            "redis": servers.external_redis(options.redis_url, report)
            if options.redis_url
            else servers.redis_server(home, port=chosen.redis),
            "s3": servers.external_s3(options.s3_url, report)
            if options.s3_url
            else servers.s3_server(home, credentials=credentials, bucket=BUCKET, port=chosen.s3),
        }
        await start_all(list(self._servers.values()))

    def _credentials(self) -> S3Credentials:
        if self._options.s3_url is None:
            return self._folder.s3_credentials()
        try:
            return S3Credentials(
                access_key=os.environ["STORAGE_ACCESS_KEY"], secret_key=os.environ["STORAGE_SECRET_KEY"]
            )
        except KeyError as exc:
            raise LocalRuntimeError(
                f"{exc.args[0]} is not set; an S3 server of your own needs your credentials"
            ) from exc

    def _addresses(self, chosen: _Ports) -> Addresses:
        return Addresses(
            api=f"http://{LOOPBACK}:{chosen.api}",
            broker=f"http://{LOOPBACK}:{chosen.broker}",
            admin=f"http://{LOOPBACK}:{chosen.admin}",
            nats=self._servers["nats"].url,
            redis=self._servers["redis"].url,
            s3=self._servers["s3"].url,
        )

    async def _prepare(self, addresses: Addresses, credentials: S3Credentials) -> None:
        """The bucket and the dead-letter stream; idempotent."""
        storage = S3Storage(
            endpoint=addresses.s3,
            public_endpoint=None,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            bucket=BUCKET,
        )
        dead_letters = self._dead_letters(addresses.nats)
        try:
            await asyncio.gather(asyncio.to_thread(storage.prepare), asyncio.to_thread(dead_letters.prepare))
        except DependencyUnavailableError as exc:
            raise LocalRuntimeError(f"could not prepare the servers: {exc.detail}") from exc
        finally:
            storage.close()
            dead_letters.close()

    def _dead_letters(self, nats_url: str) -> JetStreamDeadLetters:
        definition = json.loads((self._options.project_root / DEAD_LETTER_STREAM).read_text())
        return JetStreamDeadLetters(nats_url, definition=definition)

    # --- eventing ----------------------------------------------------------------------------------------------------

    async def _connect(self, url: str) -> Client:
        report = self.events.report

        async def disconnected() -> None:
            report("nats.disconnected")

        async def reconnected() -> None:
            report("nats.reconnected")
            if self._ensuring is None or self._ensuring.done():
                self._ensuring = self._spawn(self._ensure_streams(url), "streams after a reconnection")

        async def failed(exc: Exception) -> None:
            report("nats.error", error=repr(exc))

        return await nats.connect(
            url,
            name="darkroom-local",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            error_cb=failed,
        )

    async def _ensure_streams(self, url: str) -> None:
        """A nats-server that comes back may have lost its data. What is there stays; tried until it is done."""
        while True:
            try:
                for stream in self._streams.values():
                    await stream.ensure()
                for dispatcher in self._dispatchers:
                    await dispatcher.ensure_consumer()
                await self._ensure_dead_letters(url)
                return
            except (nats.errors.Error, DependencyUnavailableError) as exc:
                self.events.report("nats.streams_not_ensured", error=repr(exc))
            await asyncio.sleep(ENSURE_AGAIN_AFTER_S)

    async def _ensure_dead_letters(self, url: str) -> None:
        dead_letters = self._dead_letters(url)
        try:
            await asyncio.to_thread(dead_letters.prepare)
        finally:
            await asyncio.to_thread(dead_letters.close)

    async def _start_brokers(self, manifests: Manifests, connection: Client) -> Ingress:
        for broker in manifests.brokers:
            stream = BrokerStream(connection, broker, manifests.channel(broker), self.events.report)
            await stream.ensure()
            await stream.drop_other_consumers(manifests.triggers_of(broker))
            self._streams[broker.namespace, broker.name] = stream
        return Ingress(self._streams, self.events.report)

    async def _start_dispatchers(
        self, manifests: Manifests, subscribers: Subscribers, ingress: Ingress, connection: Client
    ) -> None:
        for broker in manifests.brokers:
            address = (broker.namespace, broker.name)
            for trigger in manifests.triggers_of(broker):
                delivery = delivery_of(trigger, broker)
                subscriber = resolved(trigger.spec.subscriber, trigger.namespace)
                sink = delivery.dead_letter_sink
                route = Route(
                    trigger=trigger,
                    broker=address,
                    stream=self._streams[address],
                    delivery=delivery,
                    consumer=consumer_settings(delivery, manifests.channel(broker)),
                    subscriber_name=name_of(subscriber),
                    subscriber=subscribers.resolve(subscriber),
                    dead_letter_sink=None if sink is None else subscribers.resolve(sink),
                )
                dispatcher = Dispatcher(route, ingress, self.events.report)
                self._dispatchers.append(dispatcher)
                await dispatcher.start(connection)

    # --- functions ---------------------------------------------------------------------------------------------------

    def _own_pids(self) -> list[int]:
        return [os.getpid(), *(self._forks.pids if self._forks is not None else [])]

    def _start_fork_server(self, logs: LogDirectory) -> None:
        # Elsewhere system libraries do not survive a fork without an exec.
        if not self._options.fork_server or not sys.platform.startswith("linux"):
            return
        root = self._options.project_root
        self._forks = ForkServer(
            env={**interpreter_env(root), **spans.handed_on(os.environ)},
            cwd=root.resolve(),
            on_line=logs.sink("fork-server"),
            report=self.events.report,
        )
        self._forks.start()

    def _poke(self, revision: Revision) -> None:
        self._scalers[revision.service].poke()

    def _make_pools(
        self, manifests: Manifests, settings: Mapping[str, str], addresses: Addresses, activator: Activator
    ) -> None:
        limit = InstanceLimit(self._options.max_instances)
        leads_to = sinks(manifests)
        for revision in revisions(manifests, settings=settings):
            sink = leads_to.get((revision.namespace, revision.service))
            pool = Pool(self._with_window(revision), self._surroundings(sink, addresses), limit, self.events.report)
            activator.serve(pool)
            self._pools[revision.service] = pool
            self._scalers[revision.service] = Scaler(pool, activator.meter(revision.service), self.events.report)

    def _surroundings(self, sink: Destination | None, addresses: Addresses) -> Surroundings:
        if self._logs is None:
            raise RuntimeError("the log directory is made first")
        return Surroundings(
            project_root=self._options.project_root,
            data_dir=self._folder.path,
            logs=self._logs,
            sink_url="" if sink is None else _sink_url(sink, addresses),
            env=spans.handed_on(os.environ),
            forks=self._forks,
        )

    def _with_window(self, revision: Revision) -> Revision:
        if self._options.window_s is None:
            return revision
        return replace(revision, scaling=replace(revision.scaling, window_s=self._options.window_s))

    async def _until_front_door_is_open(self) -> None:
        """Those with a min-scale are what people call first."""
        ends_at = time.monotonic() + READY_WITHIN_S
        awaited = [pool for pool in self._pools.values() if pool.revision.scaling.min_scale > 0]
        while not all(pool.ready for pool in awaited):
            if time.monotonic() > ends_at:
                missing = ", ".join(pool.revision.service for pool in awaited if not pool.ready)
                raise LocalRuntimeError(f"not ready within {READY_WITHIN_S:g} s: {missing}; see {self._folder.logs}")
            await asyncio.sleep(0.01)

    async def _close_pools(self) -> None:
        """Draining is bounded: a job that is cut off here is found by its lease and done again."""
        pools = list(self._pools.values())
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*(pool.close() for pool in pools))
        except TimeoutError:
            self.events.report("stack.drain_cut_short", after_s=DRAIN_S)
            await asyncio.gather(*(pool.close(drain=False) for pool in pools))

    # --- the rest ----------------------------------------------------------------------------------------------------

    async def _listen(self, port: int, application: web.Application) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()

    def _run_in_background(self, manifests: Manifests, subscribers: Subscribers) -> None:
        for service, scaler in self._scalers.items():
            self._spawn(scaler.run(), f"scaler {service}")
        for source in manifests.ping_sources:
            sink = resolved(source.spec.sink, source.namespace)
            self._spawn(self._ping(source, sink, subscribers), f"ping source {source.name}")
        if self._options.watch:
            folders = {name: _code_of(pool.revision, self._options.project_root) for name, pool in self._pools.items()}
            self._spawn(keep_current(self._pools, folders, self.events.report), "watch")

    async def _ping(self, source: PingSource, sink: Destination, subscribers: Subscribers) -> None:
        async def send(event: CloudEvent) -> None:
            await subscribers.send(sink, event, timeout_s=PING_TIMEOUT_S)

        await run_ping_source(source, send, self.events.report)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(_report_crash, self.events))
        self._tasks.append(task)
        return task


def _report_crash(events: EventLog, task: asyncio.Task[None]) -> None:
    """A part that runs until it is cancelled has no other end; one that crashed must not do so in silence."""
    if not task.cancelled() and task.exception() is not None:
        events.report("part.crashed", part=task.get_name(), error=repr(task.exception()))


def _resolver(table: RouteTable) -> Resolve:
    def resolve(method: str, host: str, path: str, headers: Mapping[str, str]) -> Backend | None:
        return table.find(method=method, host=host, path=path, headers=headers)

    return resolve


def _function_settings(addresses: Addresses, credentials: S3Credentials) -> dict[str, str]:
    """What this machine puts in the place of the manifests' addresses and Secrets."""
    return {
        "NATS_URL": addresses.nats,
        "REDIS_URL": addresses.redis,
        "STORAGE_TYPE": "s3" if addresses.s3.startswith("https://") else "minio",
        "STORAGE_ENDPOINT": addresses.s3,
        "STORAGE_PUBLIC_ENDPOINT": addresses.s3,
        "STORAGE_ACCESS_KEY": credentials.access_key,
        "STORAGE_SECRET_KEY": credentials.secret_key,
        "BUCKET_NAME": BUCKET,
    }


def _front_door_settings(options: StackOptions) -> dict[str, str]:
    """Everything listens on loopback: whoever comes there is let in, and as often, unless the user says otherwise."""
    keys = {} if options.api_keys is None else {"API_KEYS_FILE": str(options.api_keys.resolve())}
    limits = {"RATE_LIMIT": options.rate_limit, "RATE_LIMIT_READS": options.rate_limit}
    return {"API_KEYS": "on" if keys else "off", "API_KEYS_FILE": "", **keys, **limits}


def _sink_url(sink: Destination, addresses: Addresses) -> str:
    if sink.ref is None:
        return sink.uri or ""
    if sink.ref.kind == "Broker":
        return f"{addresses.broker}/{sink.ref.namespace}/{sink.ref.name}"
    return f"{addresses.api.replace(LOOPBACK, f'{sink.ref.name}.{sink.ref.namespace}.localhost')}"


def _code_of(revision: Revision, project_root: Path) -> list[Path]:
    """The function's own folder and the library it is written with."""
    own = (project_root / revision.env["FUNCTION_SOURCE"]).parent
    library = project_root / "darkroom"
    shared = [library / name for name in ("contract", "imaging", "adapters", "serving")]
    return [own, *(folder for folder in shared if folder.exists())]
