"""`darkroom logs`: shows what the functions logged about one job, from the log files of `darkroom up`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from darkroom.cli.job import api_of, url_option
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import is_terminal, tell, write, write_json_lines, write_records
from darkroom.local.watching.log_lines import lines_about

_ALREADY_SHOWN = frozenset({"timestamp", "action", "level", "job_id", "process", "service", "span_id", "trace_id"})


@click.command("logs")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line of a log per line.")
@url_option
@data_option
def command(job_id: str, as_json: bool, url: str | None, data: Path) -> None:
    """Show the log lines of the job JOB_ID, or of the only recent one that begins so, oldest first.

    They come from the log files of `darkroom up`, in the folder logs below --data. On a cluster they are in the logs of
    the functions' pods: kubectl logs --namespace darkroom --selector app.kubernetes.io/part-of=darkroom
    """
    try:
        full_id = str(UUID(job_id))
    except ValueError:
        full_id = api_of(url, data).full_id(job_id)
    folder = data / "logs"
    if not folder.is_dir():
        raise click.ClickException(f"there are no logs in {folder.absolute()}: `darkroom up` writes them there")
    lines = sorted(lines_about(full_id, folder), key=lambda line: str(line.get("timestamp", "")))
    if as_json:
        write_json_lines(lines)
    elif is_terminal():
        for line in lines:
            write(f"{line.get('timestamp', '')}  {line['process']}: ", (_action(line), "bold"), f" {_fields(line)}")
    else:
        rows = [(line.get("timestamp", ""), line["process"], _action(line), _fields(line)) for line in lines]
        write_records(("time", "process", "action", "fields"), rows)
    if not lines:
        tell(f"no line in {folder.absolute()} is about job {full_id}")


def _action(line: dict[str, Any]) -> str:
    level = str(line.get("level", "info"))
    return f"{'' if level in {'info', 'debug'} else level + ': '}{line.get('action', '')}"


def _fields(line: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in line.items() if name not in _ALREADY_SHOWN)
