"""`darkroom up`: runs everything on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import click
import nats.errors

from darkroom.cli.backends import region_of_s3, usable_url
from darkroom.cli.event_lines import EventLines
from darkroom.cli.failures import INTERRUPTED
from darkroom.cli.folders import make_folder
from darkroom.cli.job_store import JOB_STORES, choose_job_store
from darkroom.cli.local_storage import choose_storage
from darkroom.cli.local_webhooks import AllowPrivate, webhook_settings
from darkroom.cli.runtime_file import DEFAULT_DATA
from darkroom.cli.terminal import write
from darkroom.cli.up_options import Host, Origin, RateLimit, RecordBytes, Window
from darkroom.contract.rates import Rate
from darkroom.errors import DependencyUnavailableError, describe
from darkroom.local.addresses import Addresses
from darkroom.local.children.reasons import reason_in
from darkroom.local.errors import LocalRuntimeError, PortTakenError, StartFailedError
from darkroom.local.eventing.record.recorder import RecordLimits
from darkroom.local.resources import ExternalServers
from darkroom.local.stack import DEFAULT_PORT, Stack, StackOptions
from darkroom.local.watching.entry_points import EntryPoints
from darkroom.manifests import ManifestError
from darkroom.manifests.project import DEFAULT_FOLDERS, PROJECT_FILE, Project, read_project
from darkroom.redaction import redacted
from darkroom.serving.key_file import KeyFileError, read_key_file

STDIN = Path("-")
DEFAULT_PRESETS = Path("presets.yaml")


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """The API's keys, rate limit and web pages. By default there are none, because everything listens on loopback."""

    api_keys: Path | None
    rate_limit: str
    rate_limit_bytes: str = "off"
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    presets: Path | None = None
    """The file of presets."""

    def settings(self) -> dict[str, str]:
        keys = {} if self.api_keys is None else {"API_KEYS_FILE": str(self.api_keys.resolve())}
        limits = {
            "RATE_LIMIT": self.rate_limit,
            "RATE_LIMIT_BYTES": self.rate_limit_bytes,
            "RATE_LIMIT_READS": self.rate_limit,
        }
        pages = {"ALLOWED_ORIGINS": ",".join(self.origins), "ALLOWED_HOSTS": ",".join(self.hosts)}
        # Not resolved: a link that is replaced, as in a mounted ConfigMap, is followed anew.
        presets = {"PRESETS_FILE": "" if self.presets is None else str(self.presets.absolute())}
        return {"API_KEYS": "on" if keys else "off", "API_KEYS_FILE": "", **keys, **limits, **pages, **presets}

    @property
    def served_hosts(self) -> tuple[str, ...] | None:
        """The names under which the API is served besides this machine's; None: any, since a key is asked for."""
        return self.hosts if self.api_keys is None else None


@click.command("up")
@click.option(
    "--port",
    type=click.IntRange(1, 65529),
    default=DEFAULT_PORT,
    show_default=True,
    help=(
        "Port of the gateway, for Services and HTTPRoutes. The Broker, the admin API, NATS, Redis, S3 and PostgreSQL "
        "use the six ports after it."
    ),
)
@click.option("--free-ports", is_flag=True, help="Use any free ports instead, and print them.")
@click.option(
    "--manifests",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    multiple=True,
    help="Knative YAML to run instead of the project's: a folder, a file, or - for standard input; may be given more "
    "than once.  "
    "[default: as in darkroom.toml, else knative/, config/, k8s/ and *.yaml]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="DARKROOM_DATA",
    show_default=True,
    help="Folder for the servers' data and logs. Events survive in it.",
)
@click.option("--nats", "nats_url", help="Use this NATS server (nats://...) instead of the embedded one.")
@click.option("--redis", "redis_url", help="Use this Redis server (redis://...) instead of the embedded one.")
@click.option(
    "--job-store",
    type=click.Choice(JOB_STORES),
    envvar="JOB_STORE",
    help="Where the job records are; with postgres no Redis is started.  [default: as in darkroom.toml, else redis]",
)
@click.option(
    "--move-from",
    type=click.Choice(("redis",)),
    help="Read jobs that are still in this store too, while `darkroom jobs move` moves them to the job store.",
)
@click.option("--postgres", "postgres_url", help="Use this PostgreSQL server (postgresql://...) as the job store.")
@click.option(
    "--s3",
    "s3_url",
    help=(
        "Use this S3 server (http://...) instead of the embedded one; credentials from STORAGE_ACCESS_KEY and "
        "STORAGE_SECRET_KEY, the region from STORAGE_REGION or AWS_REGION."
    ),
)
@click.option(
    "--max-instances",
    type=click.IntRange(1),
    help=(
        "Maximum number of function processes beyond the Services' min-scale; each function may always have one.  "
        "[default: four per core]"
    ),
)
@click.option(
    "--window",
    "window_s",
    type=Window(),
    help=("Autoscaling window of every function, 6s to 1h, overriding the manifests, to see scale to zero sooner."),
)
@click.option(
    "--api-keys",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Require API keys from this file, which `darkroom keys create` writes.  [default: no keys, loopback only]",
)
@click.option(
    "--console-keys",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    envvar="CONSOLE_KEYS_FILE",
    help="Require an operator's key from this file for the console.  [default: no keys, loopback only]",
)
@click.option(
    "--webhooks-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of webhook endpoints, which `darkroom webhooks create` writes; their secrets are in "
    "webhook-secrets.json beside it.  [default: webhooks.json in --data]",
)
@click.option(
    "--webhook-allow-private",
    type=AllowPrivate(),
    envvar="WEBHOOK_ALLOW_PRIVATE",
    default="",
    help="Networks and hosts that webhooks may reach although they are not public, such as 127.0.0.0/8.  "
    "[default: none]",
)
@click.option(
    "--rate-limit",
    type=RateLimit(),
    default="off",
    show_default=True,
    help="Jobs that ingest accepts, and requests that status does, per key or address, such as 60/minute.",
)
@click.option(
    "--rate-limit-bytes",
    type=RateLimit(Rate.parse_of_bytes),
    default="off",
    show_default=True,
    help="Bytes of pictures that ingest accepts, per key or address, such as 256Mi/minute.",
)
@click.option(
    "--presets",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Named parameters that requests may use, read again when the file changes.  "
    f"[default: {DEFAULT_PRESETS}, if it exists]",
)
@click.option(
    "--allow-origin",
    "origins",
    type=Origin(),
    multiple=True,
    help="Let web pages of this origin use the API, such as http://localhost:3000; may be given more than once.  "
    "[default: none]",
)
@click.option(
    "--allow-host",
    "hosts",
    type=Host(),
    multiple=True,
    help="Serve the API under this name too, without keys; may be given more than once.  [default: names of this "
    "machine, and those of HTTPRoutes]",
)
@click.option(
    "--watch/--no-watch",
    default=True,
    show_default=True,
    help="Restart functions when their code or their Service's YAML changes. A change of other YAML is announced, and "
    "takes effect with the next `up`.",
)
@click.option(
    "--fork-server/--no-fork-server",
    default=True,
    show_default=True,
    help="Fork functions from a process that has loaded their libraries. Otherwise each is a new interpreter, as on a "
    "cluster, and a cold start takes twice as long.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse to start if anything that matters on one machine would be left out.",
)
@click.option(
    "--record-bytes",
    type=RecordBytes(),
    help="How much to keep of what happens to events, for `darkroom events`.  "
    "[default: as in darkroom.toml, else 64Mi]",
)
@click.option("--no-record", is_flag=True, help="Keep nothing of what happens to events.")
@click.option("-v", "--verbose", is_flag=True, help="Show every event, including those of each request.")
def command(
    port: int,
    free_ports: bool,
    manifests: tuple[Path, ...],
    data: Path,
    nats_url: str | None,
    redis_url: str | None,
    job_store: str | None,
    move_from: str | None,
    postgres_url: str | None,
    s3_url: str | None,
    max_instances: int | None,
    window_s: float | None,
    api_keys: Path | None,
    console_keys: Path | None,
    webhooks_file: Path | None,
    webhook_allow_private: str,
    rate_limit: str,
    rate_limit_bytes: str,
    presets: Path | None,
    origins: tuple[str, ...],
    hosts: tuple[str, ...],
    watch: bool,
    fork_server: bool,
    strict: bool,
    record_bytes: int | None,
    no_record: bool,
    verbose: bool,
) -> None:
    """Run a Knative project here: its Brokers and Triggers on NATS, and its Services, which scale from zero.

    The project's Knative YAML defines what runs and how; a cluster uses the same files. What does not run on one
    machine is left out by name, at the start and in `darkroom status`. darkroom.toml adds servers such as Redis and S3.
    Everything listens on loopback, and nothing outlives this command. Ctrl-C stops it; what is unfinished continues
    with the next `up`.

    \b
      darkroom up
      darkroom up --manifests k8s/
      kubectl kustomize overlays/dev | darkroom up --manifests -
    """
    front_door = FrontDoor(
        api_keys=api_keys,
        rate_limit=rate_limit,
        rate_limit_bytes=rate_limit_bytes,
        origins=origins,
        hosts=hosts,
        presets=presets or (DEFAULT_PRESETS if DEFAULT_PRESETS.is_file() else None),
    )
    _check_key_file(api_keys)
    make_folder(data, "--data", mode=0o700)
    webhooks = webhook_settings(webhooks_file, data, webhook_allow_private)
    external = ExternalServers(nats=nats_url, redis=redis_url, s3=s3_url, postgres=postgres_url)
    _check_urls(external)
    with _as_click_exceptions():
        storage = choose_storage(_project(Path(), _from_stdin(manifests, data)), data)
        if storage.settings and s3_url is not None:
            raise click.UsageError("--s3 names an S3 server, but STORAGE_TYPE=local asks for files; choose one of them")
        jobs = choose_job_store(
            storage.project, job_store, redis_url=redis_url, postgres_url=postgres_url, move_from=move_from
        )
        record = _record_limits(storage.project, record_bytes, no_record=no_record)
        options = StackOptions(
            project=jobs.project,
            data=data,
            port=None if free_ports else port,
            external=external,
            hosts=front_door.served_hosts,
            settings={
                **front_door.settings(),
                **webhooks,
                **storage.settings,
                **jobs.settings,
                **region_of_s3(s3_url),
                **_event_record(record),
            },
            strict=strict,
            private_servers=api_keys is not None,
            max_instances=max_instances,
            window_s=window_s,
            console_keys=console_keys,
            watch=watch,
            fork_server=fork_server,
            record=record,
        )
        was_up = asyncio.run(_run(options, verbose=verbose))
    if not was_up:
        # Interrupted before it was up: nobody has got what they asked for.
        sys.exit(INTERRUPTED)


def _check_key_file(api_keys: Path | None) -> None:
    """Each function would refuse it too, one after the other."""
    if api_keys is not None:
        try:
            read_key_file(api_keys)
        except KeyFileError as exc:
            raise click.ClickException(f"--api-keys: {exc}") from exc


def _check_urls(external: ExternalServers) -> None:
    for name, url in (
        ("--nats", external.nats),
        ("--redis", external.redis),
        ("--postgres", external.postgres),
        ("--s3", external.s3),
    ):
        if url is not None:
            usable_url(name, url)


@contextmanager
def _as_click_exceptions() -> Iterator[None]:
    """Say in one line what kept the stack from starting or running, and which option to look at."""
    try:
        yield
    except PortTakenError as exc:
        raise click.ClickException(f"{exc}; choose other ports with --port or --free-ports") from exc
    except StartFailedError as exc:
        cause = reason_in(exc.last_lines)
        raise click.ClickException(
            "\n  ".join([f"{exc.reason}: {cause}" if cause else exc.reason, *exc.last_lines])
        ) from exc
    except DependencyUnavailableError as exc:
        option = f"; check --{exc.dependency}" if exc.dependency in {"nats", "redis", "s3", "postgres"} else ""
        raise click.ClickException(f"{exc.detail}{option}") from exc
    except (LocalRuntimeError, ManifestError) as exc:
        raise click.ClickException(str(exc)) from exc
    except (nats.errors.Error, aiohttp.ClientError) as exc:
        name = "NATS" if isinstance(exc, nats.errors.Error) else "HTTP"
        raise click.ClickException(f"{name}: {describe(exc)}") from exc


def _event_record(record: RecordLimits | None) -> dict[str, str]:
    """Return where recovery has the events of erased jobs taken out of the record."""
    return {"EVENT_RECORD_URL": "" if record is None else "{admin}"}


def _record_limits(project: Project, max_bytes: int | None, *, no_record: bool) -> RecordLimits | None:
    if no_record and max_bytes is not None:
        raise click.UsageError("--no-record and --record-bytes exclude each other")
    settings = project.record
    if no_record or (not settings.enabled and max_bytes is None):
        return None
    return RecordLimits(max_bytes=max_bytes or settings.bytes, max_age_s=settings.age_s)


def _from_stdin(manifests: tuple[Path, ...], data: Path) -> tuple[Path, ...]:
    """Return the paths with standard input in a file, where the runtime and its messages can refer to it."""
    if STDIN not in manifests:
        return manifests
    kept = data / "stdin.yaml"
    kept.write_bytes(sys.stdin.buffer.read())
    return tuple(kept if path == STDIN else path for path in manifests)


def _project(root: Path, manifests: tuple[Path, ...]) -> Project:
    project = read_project(root)
    if manifests:
        return replace(project, manifests=manifests)
    if not project.manifests:
        places = ", ".join(f"{name}/" for name in DEFAULT_FOLDERS)
        raise click.ClickException(
            f"there is nothing to run in {root.resolve()}: no {PROJECT_FILE}, no {places} and no *.yaml; "
            "change to a project's folder, give its Knative YAML with --manifests, or begin one with "
            "`darkroom new project NAME`"
        )
    return project


async def _run(options: StackOptions, *, verbose: bool) -> bool:
    """Run until a signal. Returns whether everything was up by then."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    stack = Stack(options)

    def interrupted() -> None:
        if stopped.is_set():
            stack.hurry()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    stack.events.subscribe(EventLines(verbose=verbose).show)
    try:
        starting = asyncio.create_task(stack.start())
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return False
        addresses = starting.result()
        _show_addresses(addresses, stack.entry_points)
        for line in stack.banner:
            write(line)
        for remark in stack.remarks():
            write((remark, "yellow"))
        _show_watching(watch=options.watch)
        # What is loaded by now stays. A full collection would look through all of it, again and again while clients
        # come and go, and stop every request for up to a fifth of a second.
        gc.collect()
        gc.freeze()
        await waiting
        write("stopping; Ctrl-C again ends it at once; what is unfinished continues with the next `darkroom up`")
        return True
    finally:
        await stack.stop()


def _show_addresses(addresses: Addresses, entry_points: EntryPoints) -> None:
    write(("Darkroom is up", "bold green"))
    for name, url, holds in [*_entries(entry_points), *_servers(addresses)]:
        # Lines instead of a table, so that addresses can be copied from a narrow terminal.
        write(f"  {name:<8}{redacted(url):<42}  ", (holds, "dim"))


def _entries(entry_points: EntryPoints) -> Iterator[tuple[str, str, str]]:
    """Yield what each address of the project is, the address, and how it is used."""
    for route in entry_points.routes:
        yield "Route", route.url, f"{route.name}: {route.curl}"
    for service in entry_points.services:
        if service.url is not None:
            yield "Service", service.url, f"{service.name}: {service.curl}"
    private = [service.name for service in entry_points.services if service.url is None]
    if private:
        yield "Service", ", ".join(private), "cluster-local: reached by events, HTTPRoutes and other Services"
    for broker in entry_points.brokers:
        yield (
            "Broker",
            broker.url,
            f"POST CloudEvents; Triggers: {', '.join(name for name, _ in broker.triggers) or '-'}",
        )


def _servers(addresses: Addresses) -> Iterator[tuple[str, str, str]]:
    yield "Console", f"{addresses.admin}/console/", "pages that show what runs, what waits, and why"
    yield "Admin", f"{addresses.admin}/status", "what `darkroom status` shows"
    yield "Metrics", f"{addresses.admin}/metrics", "for Prometheus"
    yield "NATS", addresses.nats, "JetStream"
    for name, url in (("Redis", addresses.redis), ("PostgreSQL", addresses.postgres), ("S3", addresses.s3)):
        if url is not None:
            yield name, url, "as the project file asks"


def _show_watching(*, watch: bool) -> None:
    if watch:
        write("functions restart when their code or their Service's YAML changes; other changes are announced")
    else:
        write("code is not watched, and manifests are read once: after a change, stop and start `darkroom up`")
