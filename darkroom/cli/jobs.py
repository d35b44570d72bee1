"""`darkroom jobs`: lists jobs from the job records."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from darkroom.cli.backends import backend_options, open_backends
from darkroom.cli.deadletters import WIDTH
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import JobRecord, JobStatus, timestamp


@click.group("jobs")
def command() -> None:
    """List jobs; `darkroom job ID` shows a single one."""


@command.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@click.option("--type", "job_type", type=click.Choice(NAMES))
@click.option("--owner", default="", help="The id of the API key that created them.  [default: jobs without a key]")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one job per line.")
@backend_options
def list_jobs(
    status: str | None,
    job_type: str | None,
    owner: str,
    limit: int,
    as_json: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
) -> None:
    """Show an owner's jobs, newest first."""
    filters: dict[str, Any] = {
        "status": None if status is None else JobStatus(status),
        "job_type": job_type,
    }
    records: list[JobRecord] = []
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        page = backends.jobs.list_jobs(owner, limit=limit, **filters)
        records += page.records
        while page.next is not None and len(records) < limit:
            page = backends.jobs.list_jobs(owner, limit=limit - len(records), after=page.next, **filters)
            records += page.records
    if as_json:
        for record in records:
            click.echo(json.dumps(record.view()))
        return
    table = Table("job", "type", "status", "accepted", "attempts", "emissions", "redrives", "error", box=box.SIMPLE)
    for record in records:
        error = record.error.code if record.error else ""
        counts = (record.attempts, record.emissions, record.redrives)
        created = timestamp(record.created_at)
        table.add_row(str(record.job_id), record.type, record.status, created, *map(str, counts), error)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table if records else "no jobs")
