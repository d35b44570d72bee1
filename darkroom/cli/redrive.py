"""`darkroom redrive`: queues a failed job again, with other parameters if given."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from darkroom.cli.backends import backend_options, open_backends
from darkroom.cli.deadletters import keepers_of, name_and_value
from darkroom.cli.terminal import write
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select


@click.command("redrive")
@click.argument("job_id", type=click.UUID)
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Change a parameter; NAME= removes it. Of a rendition: NAME.PARAMETER, such as face.width=100.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@backend_options
def command(
    job_id: UUID,
    changes: tuple[str, ...],
    dry_run: bool,
    redis_url: str | None,
    nats_url: str | None,
    broker_url: str | None,
    data: Path,
) -> None:
    """Queue the failed job JOB_ID again. It keeps its id, its history, and the renditions that were made.

    `darkroom deadletters` lists the jobs that were given up; this also takes one that failed at once, because of its
    picture or of what was asked.

    \b
      darkroom redrive 7c4f7e60-6a58-4f0e-9f1d-0c8a6d5e2a11 --set face.max_bytes=20000
    """
    new = dict(name_and_value(change) for change in changes)
    with open_backends(redis_url, nats_url, broker_url, data) as backends:
        kept = next(iter(select(backends.letters, Selection(job_id=str(job_id)))), None)
        keepers = keepers_of(data) if new else None
        redriving = Redrive(backends.jobs, backends.letters, backends.emitter, keepers)
        write(redriving.redrive_job(job_id, new, kept=kept, dry_run=dry_run))
