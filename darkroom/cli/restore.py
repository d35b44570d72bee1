"""`darkroom restore`: rebuilds the job store from storage after it was lost. The work is in `restoring`."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from darkroom.cli.deployment import data_option, deployment_settings
from darkroom.cli.obsolete_letters import drop_obsolete
from darkroom.cli.restoring import Choice, Progress, Report, Restoring, Retention
from darkroom.cli.terminal import format_duration, tell, write, write_json
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.durations import parse_days
from darkroom.serving.resources import Resources

_NEEDED = frozenset({"BUCKET_NAME", "REDIS_URL"})
_TOLD_EVERY_S = 5.0


class _Since(click.ParamType[datetime]):
    name = "duration or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.now(UTC) - timedelta(seconds=parse_days(value))
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            self.fail(f"must be a duration such as 36h or 7d, or a time such as 2026-11-30T08:00Z, was {value!r}")


@click.command("restore")
@click.option("--dry-run", is_flag=True, help="Only count what would be restored; write nothing.")
@click.option(
    "--since",
    type=_Since(),
    metavar="DURATION|TIME",
    help="Only jobs accepted within this time, such as 36h or 7d, or since this time, such as 2026-11-30T08:00Z.",
)
@click.option(
    "--with-old",
    is_flag=True,
    help="Queue also jobs without a result that are older than RESULT_RETENTION, whose result may have expired.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@data_option
def command(dry_run: bool, since: datetime | None, with_old: bool, as_json: bool, data: Path) -> None:
    """Rebuild the job store from storage, after FLUSHALL or the loss of its volume.

    \b
    Each job has a small object in storage, uploads/JOB_ID/job.json. For each that has no record,
      the job is completed     if its result is in storage; it expires when it would have expired
      the job is queued again  if not; its attempts are counted anew
    A job that had failed is queued too, since storage does not show it, and fails again.

    Records that exist stay as they are, so this may run beside traffic, twice, and again after it was interrupted. Jobs
    that are queued begin with recovery's next sweep.

    \b
    The addresses are those of the running `darkroom up`, or the functions' variables where the environment has them
    (BUCKET_NAME, STORAGE_..., REDIS_URL; with NATS_URL, dead letters that are no longer true are dropped).
      darkroom restore --dry-run
      darkroom restore --since 7d
    The exit code is 1 if a keeper could not be read; it is named.
    """
    settings = deployment_settings(data, needs=_NEEDED)
    resources = Resources(settings)
    restoring = Restoring(
        jobs=resources.jobs,
        storage=resources.storage,
        retention=Retention(records_s=settings.job_retention_s, results_s=settings.result_retention_s),
        limits=settings.limits,
        choice=Choice(dry_run=dry_run, since=since, with_old=with_old),
        on_unreadable=lambda key, reason: tell(f"{key} cannot be read: {reason}"),
        on_progress=_Teller().tell,
    )
    report = restoring.run()
    dropped = None if dry_run or settings.nats_url is None else _drop_letters(resources)
    if as_json:
        write_json({**asdict(report), "dead_letters_dropped": dropped, "dry_run": dry_run})
    else:
        _write(report, dropped, dry_run=dry_run)
    if report.unreadable:
        raise click.exceptions.Exit(1)


class _Teller:
    """Says how far it is: at most every few seconds, on standard error."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def tell(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told < _TOLD_EVERY_S or progress.share <= 0:
            return
        self._told = now
        left_s = (now - self._began) * (1 - progress.share) / progress.share
        tell(f"{progress.share:4.0%}, {progress.report.examined} jobs, about {format_duration(left_s)} left")


def _drop_letters(resources: Resources) -> int | None:
    """Drop obsolete dead letters. None: NATS is away; the jobs do not depend on it."""
    try:
        return drop_obsolete(resources.dead_letters, resources.jobs)
    except DependencyUnavailableError as exc:
        tell(f"dead letters that are no longer true stay: {exc.detail}")
        return None


def _write(report: Report, dropped: int | None, *, dry_run: bool) -> None:
    done = "would be " if dry_run else ""
    rows = [
        (report.completed, f"{done}completed: the result is in storage"),
        (report.queued, f"{done}queued again"),
        (report.exists, "skipped: the job has a record"),
        (report.expired, "skipped: the record would have expired by now"),
        (report.too_old, "skipped: no result, but older than RESULT_RETENTION; --with-old queues them"),
        (report.erased, "skipped: erased meanwhile"),
        (report.unreadable, "not restored: the keeper cannot be read"),
        (dropped or 0, "dead letters dropped that are no longer true"),
    ]
    for number, what in rows:
        if number or what.endswith(("storage", "queued again", "a record")):
            write(f"{number:>9,}  {what}")
    write(f"{report.examined:>9,}  jobs in {format_duration(report.took_s)}")
