"""`darkroom deadletters`: inspect, redrive or drop the jobs and events that were given up."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.cli.backends import Backends, backend_options, open_backends
from darkroom.cli.redriving import Redrive, Selection, select
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import timestamp
from darkroom.events.durations import parse_go

WIDTH = 120
"""The width of tables that are written to a file or a pipe, in characters."""


class _Age(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_go(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--type", "kind", type=click.Choice([*NAMES, "event"]), help="The job's type; event for no job."),
        click.option("--error", "reason", metavar="CODE", help="The code of the last error, such as image.crashed."),
        click.option("--job", "job_id", metavar="ID", help="The letter of this job."),
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
        for kept in found:
            click.echo(json.dumps(_document(kept)))
        return
    table = Table("number", "kept", "what", "job or event", "error", "attempts", "from", box=box.SIMPLE)
    for kept in found:
        letter = kept.letter
        table.add_row(
            str(kept.sequence),
            f"{_age(kept)} ago",
            letter.job_type or "event",
            letter.job_id or str(letter.event.get("id", "")),
            letter.reason,
            str(letter.attempts),
            letter.origin,
        )
    _console().print(table if found else "no dead letters")


@command.command("show")
@click.argument("sequence", type=click.IntRange(1), metavar="NUMBER")
@backend_options
def show(sequence: int, redis_url: str | None, nats_url: str | None, broker_url: str | None, data: Path) -> None:
    """Show one letter: the event, the last error, the attempts and the origin."""
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        kept = backends.letters.get(sequence)
    if kept is None:
        raise click.ClickException(f"letter {sequence} does not exist")
    Console().print_json(json.dumps(_document(kept)))


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
@backend_options
def redrive(
    sequences: tuple[int, ...],
    everything: bool,
    dry_run: bool,
    changes: tuple[str, ...],
    rate: float | None,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
    **filters: Any,
) -> None:
    """Redrive the selected letters. A job keeps its id and history, and runs only once even if redriven twice."""
    new = dict(_name_and_value(change) for change in changes)
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        redriving = Redrive(backends.jobs, backends.letters, backends.emitter)
        for kept in _at_rate(_chosen(backends, sequences, everything, filters), None if dry_run else rate):
            click.echo(f"{kept.sequence}: {redriving.redrive(kept, new, dry_run=dry_run)}")


@command.command("drop")
@_selection
@backend_options
def drop(
    sequences: tuple[int, ...],
    everything: bool,
    dry_run: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
    **filters: Any,
) -> None:
    """Delete the selected letters. Their jobs stay failed."""
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        for kept in _chosen(backends, sequences, everything, filters):
            if not dry_run:
                backends.letters.drop(kept.sequence)
            name = kept.letter.job_id or kept.letter.event.get("id", "")
            click.echo(f"{kept.sequence}: {'would drop' if dry_run else 'dropped'} {name} ({kept.letter.reason})")


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
    return chosen


def _at_rate(letters: list[KeptDeadLetter], rate: float | None) -> Iterator[KeptDeadLetter]:
    for number, kept in enumerate(letters):
        if rate is not None and number > 0:
            time.sleep(1 / rate)
        yield kept


def _name_and_value(change: str) -> tuple[str, str]:
    name, equals, value = change.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--set takes NAME=VALUE, was {change!r}")
    return name, value


def _document(kept: KeptDeadLetter) -> dict[str, Any]:
    return {"number": kept.sequence, "kept_at": timestamp(kept.kept_at), **asdict(kept.letter)}


def _age(kept: KeptDeadLetter) -> str:
    seconds = max(0, round((datetime.now(UTC) - kept.kept_at).total_seconds()))
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit_s:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)
