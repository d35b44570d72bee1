"""`darkroom cancel`: ends a job that has not ended."""

from __future__ import annotations

from pathlib import Path

import click

from darkroom.cli.job import api_of, url_option
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import is_terminal, write, write_json


@click.command("cancel")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON, as is done without a terminal.")
@url_option
@data_option
def command(job_id: str, as_json: bool, url: str | None, data: Path) -> None:
    """Cancel the job JOB_ID, or the only recent one that begins so, whether it waits or is being rendered.

    It fails with job.cancelled, no result is kept, and it cannot be redriven. A job that has ended is left as it is;
    `darkroom erase` removes one altogether.
    """
    api = api_of(url, data)
    cancelled = api.cancel(api.full_id(job_id))
    if as_json or not is_terminal():
        write_json(cancelled)
    else:
        write(f"{cancelled['job_id']}: cancelled")
