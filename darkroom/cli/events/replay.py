"""`darkroom events replay`: send recorded events again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from darkroom.cli.events.options import json_option, selection_options
from darkroom.cli.events.record_client import Runtime, open_runtime
from darkroom.cli.events.wording import clock
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import is_terminal, printable, tell, write, write_json_lines, write_records

UNASKED = 10
"""As many are replayed without a question."""
AT_ONCE = 20


@click.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@selection_options
@click.option("--to", metavar="TRIGGER", help="Send them to this Trigger's subscriber only, once, past the Broker.")
@click.option("--dry-run", is_flag=True, help="Only show what would be sent.")
@click.option("--yes", is_flag=True, help=f"Do not ask before more than {UNASKED} events are sent.")
@json_option
@data_option
def command(
    ids: tuple[str, ...],
    type: str | None,
    broker: str | None,
    since: float | None,
    to: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    data: Path,
) -> None:
    """Send recorded events again, oldest first: those with these IDs, or those that the options select.

    A replay has a new id, because a Broker drops an id that it has had within the last minutes, and the extension
    `replayof`, with the id that it repeats. Replies and replays are left out unless their ids are given: what is sent
    again causes them again. With --to, only that subscriber gets the events, if they pass its filter, with one attempt.

    \b
      darkroom events replay 3f0c7a52
      darkroom events replay --type 'shop.order.*' --since 10m --to warehouse --dry-run
    """
    if not ids and not any((type, broker, since)):
        raise click.UsageError("give the ids of events, or --type, --broker or --since")
    with open_runtime(data) as runtime:
        query = {"type": type, "broker": broker, "since": since}
        chosen = _of_ids(runtime, ids, query) if ids else _selected(runtime.events({**query, "trigger": to}))
        if not chosen:
            tell("nothing to replay: the record has no such event")
            return
        target = f"the subscriber of {printable(to)}" if to else "their Brokers"
        if dry_run:
            _write_chosen(chosen, as_json=as_json)
            tell(f"would replay {_counted(len(chosen))} to {target}")
            return
        tell(f"replaying {_counted(len(chosen))} to {target}")
        if len(chosen) > UNASKED and not yes:
            _confirm(len(chosen), target)
        failed = sum(_write_result(result, as_json=as_json) for result in _replayed(runtime, chosen, to))
    if failed:
        raise click.ClickException(f"{failed} of {_counted(len(chosen))} did not arrive")


def _replayed(runtime: Runtime, chosen: Sequence[dict[str, Any]], to: str | None) -> Iterator[dict[str, Any]]:
    for first in range(0, len(chosen), AT_ONCE):
        yield from runtime.replay([event["number"] for event in chosen[first : first + AT_ONCE]], to)


def _of_ids(runtime: Runtime, ids: Sequence[str], query: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last event of each id, or of the only one that begins so. Raises click.ClickException."""
    chosen: dict[int, dict[str, Any]] = {}
    for id in ids:
        found = [event for event in runtime.events({**query, "id": id}) if not event["is_duplicate"]]
        exact = [event for event in found if event["id"] == id]
        full = sorted({event["id"] for event in found})
        if not found:
            # The runtime says how far its record goes back.
            runtime.journey(id)
            raise click.ClickException(f"the event {printable(id)} is not among those that the options select")
        if not exact and len(full) > 1:
            raise click.ClickException(f"{len(full)} events begin with {printable(id)}: {', '.join(full[:10])}")
        last = (exact or found)[-1]
        chosen[last["number"]] = last
    return list(chosen.values())


def _selected(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["door"] in ("http", "source") and not event["is_duplicate"]]


def _counted(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"


def _confirm(count: int, target: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.ClickException(f"this would send {_counted(count)}; --yes confirms it where nobody can be asked")
    if not click.confirm(f"Send {_counted(count)} to {target}?", err=True):
        raise click.ClickException("nothing was replayed")


def _write_chosen(chosen: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        write_json_lines(chosen)
        return
    rows = [(clock(event["at"]), event["id"], event["type"], event["broker"]) for event in chosen]
    write_records(("accepted", "id", "type", "broker"), rows)


def _write_result(result: dict[str, Any], *, as_json: bool) -> bool:
    """Write what became of a replay; returns whether it failed."""
    error = result.get("error")
    if as_json:
        write_json_lines([result])
    elif not is_terminal():
        write_records(
            (), [(result["id"], result.get("new_id", ""), result.get("type", ""), error or result["outcome"])]
        )
    elif error:
        write(f"{result.get('type', '')}  {result.get('new_id', '')}")
        write("  ", (f"repeats {result['id']}; {error}", "red"))
    else:
        write(f"{result['type']}  ", (result["new_id"], "bold"))
        write((f"  repeats {result['id']}; {result['outcome']}", "dim"))
    return error is not None
