"""`darkroom events export`: write recorded events as a CloudEvents batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from darkroom.cli.events.options import selection_options
from darkroom.cli.events.record_client import open_runtime
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import printable, tell


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@selection_options
@click.option("--lines", is_flag=True, help="Write one JSON event per line instead of a batch.  [default: for *.jsonl]")
@click.option("--all", "everything", is_flag=True, help="Include replies, dead letters and replays.")
@data_option
def command(
    file: Path,
    type: str | None,
    broker: str | None,
    since: float | None,
    lines: bool,
    everything: bool,
    data: Path,
) -> None:
    """Write recorded events to FILE, or with - to standard output, oldest first.

    The file is a batch in CloudEvents' JSON format (application/cloudevents-batch+json), which `darkroom events import`
    takes, and each Broker and SDK that takes batches.
    """
    with open_runtime(data) as runtime:
        found = runtime.events({"type": type, "broker": broker, "since": since, "with": "event"})
    events = [one["event"] for one in found if _is_wanted(one, everything)]
    left_out = [one["id"] for one in found if one["data_left_out_bytes"]]
    text = _as_lines(events) if lines or file.suffix in (".jsonl", ".ndjson") else json.dumps(events, indent=1) + "\n"
    if str(file) == "-":
        click.echo(text, nl=False)
    else:
        file.write_text(text, "utf-8")
    tell(f"exported {len(events)} event{'' if len(events) == 1 else 's'} to {printable(file)}")
    if left_out:
        tell(f"left out, because the record has them without their data: {', '.join(left_out)}")


def _is_wanted(one: dict[str, Any], everything: bool) -> bool:
    if one["is_duplicate"] or one["data_left_out_bytes"]:
        return False
    return everything or one["door"] in ("http", "source")


def _as_lines(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)
