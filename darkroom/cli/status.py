"""`darkroom status`: shows functions, instances and backlog of the running `darkroom up`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from darkroom.cli.runtime_file import data_option, runtime_addresses

WIDTH = 120
"""The width of tables that are written to a file or a pipe, in characters."""


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_option
def command(as_json: bool, data: Path) -> None:
    """Show each function's instances, each Trigger's backlog, the unfinished jobs and the servers."""
    status = fetch_status(runtime_addresses(data).admin)
    if as_json:
        click.echo(json.dumps(status, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(_functions(status), _triggers(status), _servers(status))
    if "jobs" in status:
        console.print(_jobs(status["jobs"]))


def fetch_status(admin: str) -> dict[str, Any]:
    try:
        answer = httpx.get(f"{admin}/status", timeout=10)
    except httpx.TransportError as exc:
        raise click.ClickException(f"{admin} does not answer ({exc}); is `darkroom up` running?") from exc
    status: dict[str, Any] = answer.raise_for_status().json()
    return status


def _functions(status: dict[str, Any]) -> Table:
    table = Table(
        "function", "revision", "ready", "wanted", "starting", "in flight", "waiting", "scale", "mode", box=box.SIMPLE
    )
    for row in status["functions"]:
        scale = f"{row['min_scale']} to {row['max_scale'] or 'any'}"
        mode = "panic" if row["panicking"] else "capped" if row["capped"] else ""
        cells = ("service", "revision", "ready", "wanted", "starting", "in_flight", "waiting")
        table.add_row(*(str(row[name]) for name in cells), scale, mode)
    return table


def _triggers(status: dict[str, Any]) -> Table:
    table = Table("trigger", "subscriber", "backlog", "delivered", "retried", "dead letters", "lost", box=box.SIMPLE)
    for row in status["triggers"]:
        cells = ("trigger", "subscriber", "backlog", "delivered", "retried", "dead_lettered", "lost")
        table.add_row(*(str(row[name]) for name in cells))
    return table


def _jobs(jobs: dict[str, Any]) -> str:
    if "error" in jobs:
        return f"jobs: {jobs['error']}"
    return f"jobs: {jobs['queued']} queued, {jobs['processing']} processing, oldest {jobs['oldest_age_s']:.0f} s"


def _servers(status: dict[str, Any]) -> Table:
    table = Table("server", "address", "state", "restarts", box=box.SIMPLE)
    for row in status["servers"]:
        table.add_row(row["name"], row["url"], row["state"], str(row["restarts"]))
    return table
