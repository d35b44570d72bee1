"""`darkroom events import`: send the events of a file to a Broker."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from darkroom.cli.events.options import broker_option, json_option
from darkroom.cli.events.record_client import open_runtime
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import printable, tell, write, write_json_lines
from darkroom.errors import EventInvalidError
from darkroom.events import strict_json
from darkroom.events.cloudevents import CloudEvent, from_json_object


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@broker_option
@click.option("--new-ids", is_flag=True, help="Give each event a new id. A Broker drops one that it had a moment ago.")
@json_option
@data_option
def command(file: Path, broker: str | None, new_ids: bool, as_json: bool, data: Path) -> None:
    """Send the events of FILE, or with - those of standard input, to a Broker, in their order.

    The file is a batch in CloudEvents' JSON format, a single event, or one event per line. All of it is checked before
    the first event is sent.
    """
    events = _events(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    dropped = 0
    with open_runtime(data) as runtime:
        to = runtime.broker(broker)
        for event in events:
            one = replace(event, id=str(uuid.uuid4())) if new_ids else event
            is_duplicate = runtime.send(to, one).is_duplicate
            dropped += is_duplicate
            if as_json:
                write_json_lines([{"id": one.id, "type": one.type, "broker": to, "duplicate": is_duplicate}])
            else:
                write(one.id)
    tell(f"sent {len(events)} event{'' if len(events) == 1 else 's'} to {to}")
    if dropped:
        tell(f"{dropped} dropped by the Broker: it had events of these ids within the last minutes; use --new-ids")


def _events(body: bytes) -> list[CloudEvent]:
    """Parse a batch, an event, or lines. Raises click.ClickException, which says where the fault is."""
    return [_event(member, place) for place, member in _members(body)]


def _members(body: bytes) -> Iterator[tuple[str, object]]:
    try:
        whole = strict_json.load(body)
    except ValueError as exc:
        if len(body.splitlines()) < 2:
            raise click.ClickException(f"the file is no JSON: {exc}") from exc
        yield from _lines(body)
        return
    if isinstance(whole, list):
        yield from ((f"event {index}", member) for index, member in enumerate(whole, 1))
    else:
        yield "the event", whole


def _lines(body: bytes) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", strict_json.load(line)
        except ValueError as exc:
            raise click.ClickException(f"line {number}: {exc}") from exc


def _event(member: object, place: str) -> CloudEvent:
    try:
        return from_json_object(member)
    except EventInvalidError as exc:
        raise click.ClickException(f"{place}: {printable(exc.detail)}") from exc
