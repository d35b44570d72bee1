"""`darkroom status`: shows functions, instances, backlog and servers of the running `darkroom up`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import click

from darkroom.cli.admin_client import AdminClient, SilentRuntimeError
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import format_duration, is_terminal, tell, write, write_json, write_records
from darkroom.diagnosis.functions import does_not_start
from darkroom.diagnosis.servers import does_not_answer
from darkroom.diagnosis.triggers import KINDS, last_failed_delivery
from darkroom.diagnosis.words import server_name
from darkroom.errors import DependencyUnavailableError
from darkroom.local.addresses import Addresses
from darkroom.local.children import health
from darkroom.manifests.left_out import LeftOut, lines

ANSWER_WITHIN_S = 15.0
"""Longer than the runtime takes when it finds each of its servers silent."""
SERVER_ANSWERS_WITHIN_S = 3.0


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def command(as_json: bool, data: Path) -> None:
    """Show each function's instances, each address, each Trigger's counts, each server's state, and what is left out.

    `darkroom why` says what is wrong and what to do about it; `darkroom top` shows this live.

    If the runtime does not answer, each server is asked directly. Without a terminal each function, trigger, server and
    count is one line that begins with its kind, its fields separated by tabs.
    """
    addresses = runtime_addresses(data)
    try:
        status = fetch_status(addresses.admin)
    except SilentRuntimeError as exc:
        states = asyncio.run(_server_states(addresses))
        _write_servers_alone(states, as_json=as_json)
        raise click.ClickException(_silent(addresses.admin, states)) from exc
    if as_json:
        write_json(status)
        return
    for name, columns, rows in _sections(status):
        _write_section(name, columns, rows)
    for sentence in _troubles(status):
        tell((sentence, "red"))


def fetch_status(admin: str) -> dict[str, Any]:
    """Return the runtime's status. Raises click.ClickException, and SilentRuntimeError for no answer in time."""
    with AdminClient(admin, answer_within_s=ANSWER_WITHIN_S) as client:
        return client.ask_object("GET", "/status")


# --- what is shown ---------------------------------------------------------------------------------------------------

Section = tuple[str, tuple[str, ...], list[tuple[object, ...]]]


def _sections(status: dict[str, Any]) -> list[Section]:
    return [
        (
            "function",
            ("function", "revision", "ready", "wanted", "starting", "in flight", "waiting", "scale", "mode"),
            [_function(row) for row in status.get("functions", [])],
        ),
        (
            "trigger",
            ("trigger", "subscriber", "backlog", "delivered", "retried", "dead letters", "lost"),
            [_receiver("trigger", row) for row in status.get("triggers", [])],
        ),
        (
            "subscription",
            ("subscription", "subscriber", "backlog", "delivered", "retried", "dead letters", "lost"),
            [_receiver("subscription", row) for row in status.get("subscriptions", [])],
        ),
        (
            "server",
            ("server", "address", "state", "restarts"),
            [_values(row, "name", "url", "state", "restarts") for row in status.get("servers", [])],
        ),
        (
            "address",
            ("what", "name", "address"),
            [*_addresses(status)],
        ),
        (
            "left out",
            ("left out", "name", "where", "why"),
            [*lines(LeftOut.from_dict(row) for row in status.get("left_out", []))],
        ),
        *([("jobs", ("jobs", "queued", "processing", "oldest"), [_jobs(status["jobs"])])] if "jobs" in status else []),
    ]


def _function(row: dict[str, Any]) -> tuple[object, ...]:
    cells = _values(row, "service", "revision", "ready", "wanted", "starting", "in_flight", "waiting")
    mode = (
        "not run"
        if row.get("not_run")
        else "failing"
        if row.get("failing")
        else "panic"
        if row.get("panicking")
        else "capped"
        if row.get("capped")
        else ""
    )
    return (*cells, f"{row.get('min_scale', 0)} to {row.get('max_scale') or 'any'}", mode)


def _addresses(status: dict[str, Any]) -> Iterable[tuple[object, ...]]:
    for what in ("service", "route", "broker"):
        for row in status.get(f"{what}s", []):
            yield what, _qualified(row), row.get("url") or "cluster-local"


def _qualified(row: dict[str, Any]) -> str:
    return f"{row['namespace']}/{row.get('name')}" if row.get("namespace") else str(row.get("name", ""))


def _receiver(kind: str, row: dict[str, Any]) -> tuple[object, ...]:
    cells = _values(row, kind, "subscriber", "backlog", "delivered", "retried", "dead_lettered", "lost")
    return tuple("unknown" if cell is None else cell for cell in cells)


def _jobs(jobs: dict[str, Any]) -> tuple[object, ...]:
    if "error" in jobs:
        return "jobs", "unknown", "unknown", jobs["error"]
    oldest_s = float(jobs.get("oldest_age_s", 0))
    return "jobs", jobs.get("queued", 0), jobs.get("processing", 0), format_duration(oldest_s)


def _values(row: dict[str, Any], *names: str) -> tuple[object, ...]:
    return tuple(row.get(name, "") for name in names)


def _write_section(name: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    if is_terminal():
        if rows:
            write_records(columns, rows)
            write()
        return
    write_records(columns, [row if name == row[0] else (name, *row) for row in rows])


def _troubles(status: dict[str, Any]) -> Iterable[str]:
    """Yield a sentence for each thing that does not work."""
    for server in status.get("servers", []):
        if server.get("state") != "up":
            yield does_not_answer(server)
    for row in status.get("functions", []):
        yield from (str(remark) for remark in row.get("remarks", []))
        if row.get("failing"):
            yield does_not_start(row)
    for kind in KINDS:
        for row in status.get(f"{kind}s", []):
            if row.get("last_failure"):
                yield last_failed_delivery(kind, row)
    if "error" in status.get("jobs", {}):
        yield f"the jobs cannot be counted: {status['jobs']['error']}"
    disk = status.get("data", {})
    if disk.get("state", "ok") != "ok":
        yield f"the disk of {disk.get('path')}: {disk['state']}"


# --- when the runtime does not answer --------------------------------------------------------------------------------


async def _server_states(addresses: Addresses) -> dict[str, tuple[str, str]]:
    """Ask each server itself, all at once, each with its own deadline. Returns address and state by name."""
    checks: dict[str, tuple[str, Callable[[str], Awaitable[None]]]] = {"nats": (addresses.nats, health.check_nats)}
    if addresses.redis is not None:
        checks["redis"] = (addresses.redis, health.check_redis)
    if addresses.postgres is not None:
        checks["postgres"] = (addresses.postgres, health.check_postgres)
    if addresses.s3 is not None:
        checks["s3"] = (addresses.s3, health.check_s3)
    states = await asyncio.gather(*(_state(url, check) for url, check in checks.values()))
    return {name: (url, state) for (name, (url, _)), state in zip(checks.items(), states, strict=True)}


async def _state(url: str, check: Callable[[str], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(SERVER_ANSWERS_WITHIN_S):
            await check(url)
    except TimeoutError:
        return f"no answer in {SERVER_ANSWERS_WITHIN_S:g} s"
    except DependencyUnavailableError as exc:
        return exc.detail.removeprefix(f"{exc.dependency}: ")
    return "up"


def _write_servers_alone(states: dict[str, tuple[str, str]], *, as_json: bool) -> None:
    servers = [{"name": name, "url": url, "state": state} for name, (url, state) in states.items()]
    if as_json:
        write_json({"servers": servers})
    else:
        _write_section(
            "server", ("server", "address", "state"), [_values(row, "name", "url", "state") for row in servers]
        )


def _silent(admin: str, states: dict[str, tuple[str, str]]) -> str:
    down = [f"{server_name(name)} does not answer ({state})" for name, (_, state) in states.items() if state != "up"]
    cause = "; ".join(down) if down else "its servers do"
    return f"the runtime at {admin} does not answer within {ANSWER_WITHIN_S:g} s; {cause}"
