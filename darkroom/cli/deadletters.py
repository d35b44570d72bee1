"""`darkroom deadletters`: inspect, redrive or drop the jobs and events that were given up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.cli.api import only_match
from darkroom.cli.backends import Backends, backend_options, open_backends
from darkroom.cli.deployment import deployment_settings
from darkroom.cli.terminal import format_duration, write, write_json, write_json_lines, write_records
from darkroom.contract.job_types import NAMES
from darkroom.events.durations import parse_go
from darkroom.redriving.keeper_files import KeeperFiles
from darkroom.redriving.letters import document, kind, subject
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select
from darkroom.serving.resources import Resources


class _Age(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_go(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option(
            "--type", "kind", type=click.Choice([*NAMES, "webhook", "event"]), help="The job's type; event for no job."
        ),
        click.option("--error", "reason", metavar="CODE", help="The code of the last error, such as image.crashed."),
        click.option("--job", "job_id", metavar="ID", help="The letter of this job, or of the one that begins so."),
        click.option("--older-than", "older_than_s", type=_Age(), help="Kept for at least this long, such as 2h30m."),
        click.option("--newer-than", "newer_than_s", type=_Age(), help="Kept for less than this long."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select letters: by number, by filter, or explicitly all of them."""
    function = click.option("--dry-run", is_flag=True, help="Only show what would be done.")(function)
    function = click.option("--all", "everything", is_flag=True, help="Select all letters.")(function)
    return click.argument("sequences", nargs=-1, type=click.IntRange(1), metavar="[NUMBER]...")(_filters(function))


@click.group("deadletters")
def command() -> None:
    """Inspect, redrive or drop the jobs and events that were given up.

    \b
    Every job that is given up is kept with its last error until it is redriven or dropped, for at most 30 days.
      darkroom deadletters list --error image.crashed --newer-than 24h
      darkroom deadletters show 17
      darkroom deadletters redrive 17 --set width=800
      darkroom deadletters redrive --type resize --error dependency.unavailable --rate 5
      darkroom deadletters drop --older-than 168h --dry-run
      darkroom deadletters drop --all
    """


@command.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one letter per line.")
@backend_options
def list_letters(
    limit: int,
    as_json: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
    **filters: Any,
) -> None:
    """Show the letters, oldest first."""
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        found = list(islice(select(backends.letters, Selection(**filters)), limit))
    if as_json:
        write_json_lines(map(document, found))
        return
    write_records(_COLUMNS, [_row(kept) for kept in found], empty="no dead letters")


_COLUMNS = ("number", "age", "what", "job or event", "error", "attempts", "from")


def _row(kept: KeptDeadLetter) -> tuple[object, ...]:
    letter, age_s = kept.letter, (datetime.now(UTC) - kept.kept_at).total_seconds()
    return (
        kept.sequence,
        format_duration(age_s),
        kind(letter),
        subject(kept),
        letter.reason,
        letter.attempts,
        letter.origin,
    )


@command.command("show")
@click.argument("number_or_job", metavar="NUMBER|JOB_ID")
@backend_options
def show(number_or_job: str, redis_url: str | None, nats_url: str | None, broker_url: str | None, data: Path) -> None:
    """Show one letter as JSON: the event, the last error, the attempts and the origin."""
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        kept = _letter(backends, number_or_job)
    write_json(document(kept))


def _letter(backends: Backends, number_or_job: str) -> KeptDeadLetter:
    """Return the letter of this number, or of the job whose id begins so."""
    number = int(number_or_job) if number_or_job.isascii() and number_or_job.isdigit() else 0
    kept = backends.letters.get(number) if 0 < number < 2**63 else None
    if kept is not None:
        return kept
    found = {str(one.letter.job_id): one for one in select(backends.letters, Selection(job_id=number_or_job))}
    return found[only_match(number_or_job, sorted(found), "there is no letter of this number or job")]


@command.command("redrive")
@_selection
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Change a parameter of the jobs; NAME= removes it.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="The maximum number per second.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one letter per line.")
@backend_options
def redrive(
    sequences: tuple[int, ...],
    everything: bool,
    dry_run: bool,
    changes: tuple[str, ...],
    rate: float | None,
    as_json: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
    **filters: Any,
) -> None:
    """Redrive the selected letters. A job keeps its id and history, and runs only once even if redriven twice.

    --set also changes what the job would be restored from, in storage: that of the running `darkroom up`, or where the
    functions' variables BUCKET_NAME, STORAGE_... say.
    """
    new = dict(name_and_value(change) for change in changes)
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        redriving = Redrive(backends.jobs, backends.letters, backends.emitter, keepers_of(data) if new else None)
        for kept in _at_rate(_chosen(backends, sequences, everything, filters), None if dry_run else rate):
            _write_outcome(kept, redriving.redrive(kept, new, dry_run=dry_run), as_json=as_json)


def keepers_of(data: Path) -> KeeperFiles:
    """Open the storage of the deployment, where the parameters of its jobs are kept. Raises click.ClickException."""
    return KeeperFiles(Resources(deployment_settings(data, needs=frozenset({"BUCKET_NAME"}))).storage)


@command.command("drop")
@_selection
@click.option("--yes", is_flag=True, help="Do not ask before all letters are dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one letter per line.")
@backend_options
def drop(
    sequences: tuple[int, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
    **filters: Any,
) -> None:
    """Delete the selected letters for good. Their jobs stay failed. Asks first when it is given --all."""
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        chosen = _chosen(backends, sequences, everything, filters)
        if everything and chosen and not dry_run and not yes:
            _confirm(len(chosen))
        for kept in chosen:
            if not dry_run:
                backends.letters.drop(kept.sequence)
            done = f"{'would drop' if dry_run else 'dropped'} {subject(kept)} ({kept.letter.reason})"
            _write_outcome(kept, done, as_json=as_json)


def _confirm(count: int) -> None:
    """Ask whether to drop all letters. Raises click.ClickException if the answer is no, or nobody can answer."""
    what = f"{count} dead letter{'' if count == 1 else 's'}"
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.ClickException(f"this would drop {what} for good; --yes confirms it where nobody can be asked")
    if not click.confirm(f"Drop {what} for good?", err=True):
        raise click.ClickException("nothing was dropped")


def _write_outcome(kept: KeptDeadLetter, done: str, *, as_json: bool) -> None:
    if as_json:
        write_json_lines([{"number": kept.sequence, "job_or_event": subject(kept), "done": done}])
    else:
        write(f"{kept.sequence}: {done}")


def _chosen(
    backends: Backends, sequences: tuple[int, ...], everything: bool, filters: dict[str, Any]
) -> list[KeptDeadLetter]:
    """Read all selected letters before acting on any, so that a job that fails again is not redriven again."""
    if not sequences and not everything and not any(value is not None for value in filters.values()):
        raise click.UsageError("give the numbers of letters, a filter, or --all")
    chosen = list(select(backends.letters, Selection(sequences=sequences, **filters)))
    missing = sorted(set(sequences) - {kept.sequence for kept in chosen})
    if missing:
        raise click.ClickException(f"no such letter: {', '.join(map(str, missing))}")
    if filters.get("job_id"):
        # An abbreviation that fits several jobs could act on another than was meant.
        jobs = sorted({str(kept.letter.job_id) for kept in chosen})
        only_match(filters["job_id"], jobs, "there is no letter of this job")
    return chosen


def _at_rate(letters: list[KeptDeadLetter], rate: float | None) -> Iterator[KeptDeadLetter]:
    for number, kept in enumerate(letters):
        if rate is not None and number > 0:
            time.sleep(1 / rate)
        yield kept


def name_and_value(change: str) -> tuple[str, str]:
    name, equals, value = change.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--set takes NAME=VALUE, was {change!r}")
    return name, value
