"""`darkroom events tail`: show events live, with each Trigger's verdict and each subscriber's answer."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from darkroom.cli.events.options import json_option, selection_options
from darkroom.cli.events.record_client import open_runtime
from darkroom.cli.events.wording import tail_fields, tail_lines
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import is_terminal, tell, write, write_json_lines, write_records


@click.command("tail")
@selection_options
@click.option("--trigger", metavar="NAME", help="Only what this Trigger takes.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Wait for what happens next.")
@json_option
@data_option
def command(
    type: str | None,
    broker: str | None,
    since: float | None,
    trigger: str | None,
    follow: bool,
    as_json: bool,
    data: Path,
) -> None:
    """Show what happens to events, live, until Ctrl-C.

    --> is an event that a Broker has accepted, with the Triggers that take it; <-- is a subscriber's answer. Without a
    terminal each is one line, its fields separated by tabs: time, kind, id, type, Broker, Trigger, attempt, outcome.

    \b
      darkroom events tail --type 'shop.order.*'
      darkroom events tail --trigger warehouse --since 10m --no-follow
    """
    with open_runtime(data) as runtime:
        if is_terminal() and not as_json and follow:
            tell("waiting for events; Ctrl-C ends it")
        query = {"type": type, "broker": broker, "since": since, "trigger": trigger}
        for document in runtime.tail({**query, "follow": None if follow else "no"}):
            if as_json:
                write_json_lines([document])
            elif is_terminal():
                for parts in tail_lines(document):
                    write(*parts)
            else:
                write_records((), [tail_fields(document)])
            # A pipe's reader gets each line at once.
            sys.stdout.flush()
        if follow:
            raise click.ClickException("the runtime ended")
