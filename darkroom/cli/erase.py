"""`darkroom erase`: removes jobs, their pictures and everything else that is known of them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from darkroom.cli.job import api_of, url_option
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import write


@click.command("erase")
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")
@click.option("--yes", is_flag=True, help="Do not ask before the jobs are erased.")
@url_option
@data_option
def command(job_ids: tuple[str, ...], yes: bool, url: str | None, data: Path) -> None:
    """Erase the jobs JOB_ID, each of which may be the beginning of a recent one's id. Asks first.

    A job is unknown at once, and cancelled if it has not ended. Within a minute its results, its record and its dead
    letters are erased for good, and its original unless another job uses it. Logs keep the bare id; copies that you
    made, such as backups, are yours to erase.
    """
    api = api_of(url, data)
    # All ids are looked up before anything is erased, so that a mistake in one erases nothing.
    full_ids = list(dict.fromkeys(map(api.full_id, job_ids)))
    if not yes:
        _confirm(full_ids)
    for job_id in full_ids:
        api.erase(job_id)
        write(f"{job_id}: erased")


def _confirm(job_ids: list[str]) -> None:
    """Ask whether to erase the jobs. Raises click.ClickException if the answer is no, or nobody can answer."""
    what = f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids)} jobs"
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.ClickException(f"this would erase {what} for good; --yes confirms it where nobody can be asked")
    for job_id in job_ids if len(job_ids) > 1 else []:
        write(job_id, err=True)
    if not click.confirm(f"Erase {what} and the pictures for good?", err=True):
        raise click.ClickException("nothing was erased")
