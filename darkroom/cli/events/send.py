"""`darkroom events send`: send an event to a Broker."""

from __future__ import annotations

import re
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from darkroom.cli.events.options import broker_option, json_option
from darkroom.cli.events.record_client import open_runtime
from darkroom.cli.runtime_file import DEFAULT_DATA
from darkroom.cli.terminal import is_terminal, printable, tell, write, write_json_lines
from darkroom.errors import EventInvalidError
from darkroom.events import strict_json, tracing
from darkroom.events.cloudevents import JSON, CloudEvent, from_json_object

SOURCE = "/darkroom/cli"
MOST = 100_000
_EXTENSION = re.compile(r"[a-z0-9]+")
_BASE = frozenset({"id", "source", "type", "specversion", "subject", "time", "data", "datacontenttype", "dataschema"})


@click.command("send")
@click.argument("type")
@click.option(
    "--data",
    "content",
    metavar="FILE|-|JSON",
    help="The data: JSON text, a file, or - for standard input. A file's name says its media type.",
)
@broker_option
@click.option("--source", default=SOURCE, show_default=True, help="The event's source, a URI reference.")
@click.option("--subject", help="The event's subject.")
@click.option("--id", help="The event's id.  [default: a new one]")
@click.option("--ext", "extensions", metavar="NAME=VALUE", multiple=True, help="An extension; may be given repeatedly.")
@click.option("--count", type=click.IntRange(1, MOST), default=1, show_default=True, help="How many.")
@json_option
@click.option(
    "--folder",
    "runtime_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="DARKROOM_DATA",
    show_default=True,
    help="Folder of the running `darkroom up`, which other commands call --data.",
)
def command(
    type: str,
    content: str | None,
    broker: str | None,
    source: str,
    subject: str | None,
    id: str | None,
    extensions: tuple[str, ...],
    count: int,
    as_json: bool,
    runtime_folder: Path,
) -> None:
    """Send an event of the type TYPE to a Broker.

    It prints the id once the Broker has stored the event. Each event begins a trace of its own, by which the record
    finds what functions emit while they handle it, if they pass the trace on.

    \b
      darkroom events send shop.order.placed --data '{"order": 7}'
      darkroom events send shop.photo.taken --data photo.jpg --subject 7
      darkroom events send shop.order.placed --ext tier=gold --count 100
    """
    if id is not None and count > 1:
        raise click.UsageError("--id and --count exclude each other: a Broker drops a second event of an id")
    event = _event(type, source, subject, id, extensions, *_content(content))
    with open_runtime(runtime_folder) as runtime:
        to = runtime.broker(broker)
        for _ in range(count):
            one = _with_trace(event if id is not None else replace(event, id=str(uuid.uuid4())))
            sent = runtime.send(to, one)
            if as_json:
                write_json_lines([{"id": one.id, "type": one.type, "broker": to, "duplicate": sent.is_duplicate}])
            elif is_terminal() and count == 1:
                write(f"sent {one.type} to {to}")
                write("id ", (one.id, "bold"))
            else:
                write(one.id)
            if sent.is_duplicate:
                tell("the Broker dropped it: it had an event of this id within the last minutes; leave --id out")
    if not as_json and is_terminal():
        _say_what_next(event.type if count > 1 else one.id, is_one=count == 1)


def _say_what_next(what: str, *, is_one: bool) -> None:
    if is_one:
        tell("what became of it:  ", (f"darkroom events show {what[:8] if len(what) == 36 else what}", "bold"))
    else:
        tell("what became of them:  ", (f"darkroom events tail --since 1m --type {what}", "bold"))


def _event(
    type: str,
    source: str,
    subject: str | None,
    id: str | None,
    extensions: tuple[str, ...],
    content: bytes | None,
    media_type: str | None,
) -> CloudEvent:
    """Check everything before anything is sent. Raises click.UsageError."""
    members = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()) if id is None else id,
        "source": source,
        "type": type,
        "subject": subject,
        "datacontenttype": media_type,
        **dict(_extension(each) for each in extensions),
    }
    try:
        event = from_json_object({name: value for name, value in members.items() if value is not None})
    except EventInvalidError as exc:
        raise click.UsageError(exc.detail) from exc
    return replace(event, time=datetime.now(UTC), data=content)


def _extension(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value or not _EXTENSION.fullmatch(name) or name in _BASE:
        raise click.UsageError(
            f"--ext takes NAME=VALUE, where the name is lower-case letters and digits and no attribute's own, was "
            f"{printable(text)!r}"
        )
    return name, value


def _with_trace(event: CloudEvent) -> CloudEvent:
    if tracing.TRACEPARENT in event.extensions:
        return event
    return event.with_extensions(**tracing.new_root().attributes())


_MEDIA_TYPES = {
    ".json": JSON,
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".csv": "text/csv",
    ".yaml": "application/yaml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
}


def _content(given: str | None) -> tuple[bytes | None, str | None]:
    """Return the data and its media type. Raises click.UsageError."""
    if given is None:
        return None, None
    if given == "-":
        body = sys.stdin.buffer.read()
        return body, JSON if _json_error(body) is None else _type_of_bytes(body)
    wrong = _json_error(given.encode())
    if wrong is None:
        return given.encode(), JSON
    file = Path(given)
    if _is_file(file):
        body = file.read_bytes()
        media_type = _MEDIA_TYPES.get(file.suffix.lower()) or _type_of_bytes(body)
        if media_type == JSON and (wrong := _json_error(body)) is not None:
            raise click.UsageError(f"{printable(given)}: {wrong}")
        return body, media_type
    raise click.UsageError(
        f"--data is neither JSON ({wrong}) nor a file that exists: {printable(given[:80])!r}; text is JSON in quotes: "
        "--data '\"text\"'"
    )


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False


def _json_error(body: bytes) -> str | None:
    try:
        strict_json.load(body)
    except ValueError as exc:
        return str(exc)
    return None


def _type_of_bytes(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"
