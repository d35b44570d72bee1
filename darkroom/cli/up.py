"""`darkroom up`: runs everything on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from darkroom.cli.runtime_file import DEFAULT_DATA
from darkroom.contract.job_types import NAMES
from darkroom.contract.rates import Rate
from darkroom.events.durations import parse_go
from darkroom.local.addresses import Addresses
from darkroom.local.errors import LocalRuntimeError, PortTakenError
from darkroom.local.resources import ExternalServers
from darkroom.local.stack import DEFAULT_PORT, Stack, StackOptions
from darkroom.manifests import ManifestError
from darkroom.manifests.project import DEFAULT_FOLDERS, PROJECT_FILE, Project, read_project
from darkroom.redaction import redacted

_QUIET = {"event.accepted", "request.forwarded", "delivery.accepted", "instances.wanted", "process.line"}
"""Events of every picture. They are in the logs; without --verbose, the console shows only what needs attention."""
_STYLES = {
    "died": "red",
    "failed": "red",
    "lost": "bold red",
    "refused": "yellow",
    "dead_lettered": "red",
    "ready": "green",
}


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """The API's keys and rate limit. By default there are none, because everything listens on loopback."""

    api_keys: Path | None
    rate_limit: str

    def settings(self) -> dict[str, str]:
        keys = {} if self.api_keys is None else {"API_KEYS_FILE": str(self.api_keys.resolve())}
        limits = {"RATE_LIMIT": self.rate_limit, "RATE_LIMIT_READS": self.rate_limit}
        return {"API_KEYS": "on" if keys else "off", "API_KEYS_FILE": "", **keys, **limits}


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_go(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class _RateLimit(click.ParamType[str]):
    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            Rate.parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


@click.command("up")
@click.option(
    "--port",
    type=click.IntRange(1, 65530),
    default=DEFAULT_PORT,
    show_default=True,
    help=("Port of the API. The Broker, the admin API, NATS, Redis and S3 use the five ports after it."),
)
@click.option("--free-ports", is_flag=True, help="Use any free ports instead, and print them.")
@click.option(
    "--manifests",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="Knative YAML to run instead of the project's: a folder or a file; may be given more than once.  "
    "[default: as in darkroom.toml, else knative/, config/, k8s/ and *.yaml]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="DARKROOM_DATA",
    show_default=True,
    help="Folder for the servers' data and logs. Jobs survive in it.",
)
@click.option("--nats", "nats_url", help="Use this NATS server (nats://...) instead of the embedded one.")
@click.option("--redis", "redis_url", help="Use this Redis server (redis://...) instead of the embedded one.")
@click.option(
    "--s3",
    "s3_url",
    help=(
        "Use this S3 server (http://...) instead of the embedded one; credentials from STORAGE_ACCESS_KEY and "
        "STORAGE_SECRET_KEY."
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
    type=_Duration(),
    help=("Autoscaling window of every function, 6s to 1h, overriding the manifests, to see scale to zero sooner."),
)
@click.option(
    "--api-keys",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Require API keys from this file, which `darkroom keys create` writes.  [default: no keys, loopback only]",
)
@click.option(
    "--rate-limit",
    type=_RateLimit(),
    default="off",
    show_default=True,
    help="Requests that ingest and status each accept per key or address, such as 60/minute.",
)
@click.option("--watch/--no-watch", default=True, show_default=True, help="Restart functions when their code changes.")
@click.option(
    "--fork-server/--no-fork-server",
    default=True,
    show_default=True,
    help="Fork functions from a process that has loaded their libraries. Otherwise each is a new interpreter, as on a "
    "cluster, and a cold start takes twice as long.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every event, including those of each picture.")
def command(
    port: int,
    free_ports: bool,
    manifests: tuple[Path, ...],
    data: Path,
    nats_url: str | None,
    redis_url: str | None,
    s3_url: str | None,
    max_instances: int | None,
    window_s: float | None,
    api_keys: Path | None,
    rate_limit: str,
    watch: bool,
    fork_server: bool,
    verbose: bool,
) -> None:
    """Run the whole pipeline here: NATS, Redis, S3, the Broker, and functions that scale from zero.

    The manifests in knative/ and nats-eventing/ define what runs and how; a cluster uses the same files. Everything
    listens on loopback, and nothing outlives this command. Ctrl-C stops it; unfinished jobs continue with the next
    `up`.

    \b
      darkroom up
      curl -F image=@picture.jpg -F width=400 http://127.0.0.1:8080/api/v1/resize
    """
    front_door = FrontDoor(api_keys=api_keys, rate_limit=rate_limit)
    try:
        options = StackOptions(
            project=_project(Path(), manifests),
            data=data,
            port=None if free_ports else port,
            external=ExternalServers(nats=nats_url, redis=redis_url, s3=s3_url),
            settings=front_door.settings(),
            private_servers=api_keys is not None,
            max_instances=max_instances,
            window_s=window_s,
            watch=watch,
            fork_server=fork_server,
        )
        asyncio.run(_run(options, front_door, Console(), verbose=verbose))
    except PortTakenError as exc:
        raise click.ClickException(f"{exc}; choose other ports with --port or --free-ports") from exc
    except (LocalRuntimeError, ManifestError) as exc:
        raise click.ClickException(str(exc)) from exc


def _project(root: Path, manifests: tuple[Path, ...]) -> Project:
    project = read_project(root)
    if manifests:
        return replace(project, manifests=manifests)
    if not project.manifests:
        places = ", ".join(f"{name}/" for name in DEFAULT_FOLDERS)
        raise click.ClickException(
            f"there is nothing to run in {root.resolve()}: no {PROJECT_FILE}, no {places} and no *.yaml; "
            "change to a project's folder, or give its Knative YAML with --manifests"
        )
    return project


async def _run(options: StackOptions, front_door: FrontDoor, console: Console, *, verbose: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    stack = Stack(options)

    def interrupted() -> None:
        if stopped.is_set():
            stack.hurry()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    stack.events.subscribe(lambda action, fields: _show_event(console, action, fields, verbose=verbose))
    try:
        starting = asyncio.create_task(stack.start())
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return
        addresses = starting.result()
        _show_addresses(console, addresses)
        _show_front_door(console, front_door)
        await waiting
        console.print("stopping; Ctrl-C again ends it at once; unfinished jobs continue with the next `darkroom up`")
    finally:
        await stack.stop()


def _show_addresses(console: Console, addresses: Addresses) -> None:
    rows: tuple[tuple[str, str | None, str], ...] = (
        ("API", f"{addresses.api}/api/v1", f"POST {', '.join(NAMES)}; GET jobs/ID"),
        ("Broker", f"{addresses.broker}/darkroom/darkroom", "POST CloudEvents"),
        ("Admin", f"{addresses.admin}/status", "what `darkroom status` shows"),
        ("Metrics", f"{addresses.admin}/metrics", "for Prometheus"),
        ("NATS", addresses.nats, "JetStream"),
        ("Redis", addresses.redis, "the job records"),
        ("S3", addresses.s3, "the pictures"),
    )
    console.print("[bold green]Darkroom is up[/]")
    for name, url, holds in rows:
        if url is not None:
            # Lines instead of a table, which would truncate addresses on a narrow terminal.
            console.print(f"  {name:<8}{escape(redacted(url)):<42}  [dim]{holds}[/]", soft_wrap=True, highlight=False)
    console.print(f"try: curl -F image=@picture.jpg -F width=400 {addresses.api}/api/v1/resize", soft_wrap=True)


def _show_front_door(console: Console, front_door: FrontDoor) -> None:
    keys = "API keys are off: anyone who can reach this machine's loopback may use the API (--api-keys requires them)"
    if front_door.api_keys is not None:
        keys = f"API keys are required: {front_door.api_keys}"
    limit = "no rate limit" if front_door.rate_limit == "off" else f"rate limit {front_door.rate_limit}"
    console.print(f"{keys}; {limit}", soft_wrap=True, highlight=False)


def _show_event(console: Console, action: str, fields: dict[str, Any], *, verbose: bool) -> None:
    if action in _QUIET and not verbose:
        return
    shown = " ".join(f"{name}={_shown(value)}" for name, value in fields.items() if value not in (None, ""))
    style = _STYLES.get(action.rpartition(".")[2], "dim")
    # Text instead of markup, because a function's output may contain brackets.
    console.print(Text(f"{action:<24}", style), Text(shown), soft_wrap=True)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
