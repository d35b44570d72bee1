"""`darkroom jobs`: lists jobs from the job records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from darkroom.cli.backends import backend_options, open_backends
from darkroom.cli.move import command as move_command
from darkroom.cli.terminal import format_duration, write_json_lines, write_records
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.unreadable import UnreadableJob

COLUMNS = ("job", "type", "status", "age", "took", "tries", "error")


@click.group("jobs")
def command() -> None:
    """List jobs, or move them to another job store; `darkroom job ID` shows a single one."""


command.add_command(move_command)


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
    """Show an owner's jobs, newest first: since when they exist, and how long they took from then to their end.

    Without a terminal each job is one line, its fields separated by tabs.
    """
    filters: dict[str, Any] = {
        "status": None if status is None else JobStatus(status),
        "job_type": job_type,
    }
    records: list[JobRecord | UnreadableJob] = []
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        page = backends.jobs.list_jobs(owner, limit=limit, **filters)
        records += page.records
        while page.next is not None and len(records) < limit:
            page = backends.jobs.list_jobs(owner, limit=limit - len(records), after=page.next, **filters)
            records += page.records
    if as_json:
        write_json_lines(record.view() for record in records)
        return
    now = datetime.now(UTC)
    write_records(COLUMNS, [_row(record, now) for record in records], empty="no jobs")


def _row(record: JobRecord | UnreadableJob, now: datetime) -> tuple[object, ...]:
    if isinstance(record, UnreadableJob):
        return record.job_id, record.type, "unreadable", "", "", "", record.reason
    return (
        record.job_id,
        record.type,
        record.status.value,
        format_duration((now - record.created_at).total_seconds()),
        "" if record.finished_at is None else format_duration((record.finished_at - record.created_at).total_seconds()),
        record.attempts,
        record.error.code if record.error else "",
    )
