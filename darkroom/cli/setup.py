"""`darkroom setup`: creates the bucket with its rules and the dead-letter stream. The cluster's setup Job runs it.

It is idempotent: existing data stays. It uses the same adapters and the same definition as `darkroom up`. Users and
policies are configured in the servers (knative/components), because an application that may create users could give
itself any rights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import click

from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.storage.retention import DAY_S
from darkroom.cli.terminal import tell, write
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import SettingsError
from darkroom.events.durations import parse_go
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings

_PAUSE_S = 1.0
_NEEDED = frozenset({"BUCKET_NAME", "NATS_URL"})


@click.command("setup")
@click.option(
    "--dead-letter-stream",
    "definition_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=Path("nats-eventing/deadletter-stream.json"),
    show_default=True,
    help="The stream's definition, in the format of JetStream's API.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 5),
    envvar="DEAD_LETTER_REPLICAS",
    help="Replicas of the dead-letter stream, overriding its definition.  [env: DEAD_LETTER_REPLICAS]",
)
@click.option("--within", default="2m", show_default=True, help="How long to wait for servers that do not answer.")
def command(definition_file: Path, replicas: int | None, within: str) -> None:
    """Create the bucket with its rules, the dead-letter stream and, with JOB_STORE=postgres, the job store's tables.
    Existing data stays.

    The bucket's rules delete originals after ORIGINAL_RETENTION and results after RESULT_RETENTION. Run it again after
    a change of either. With STORAGE_TYPE=local, what is older is deleted now.

    The servers' addresses are read from the same variables as in the functions (BUCKET_NAME, STORAGE_..., NATS_URL,
    ...).
    """
    try:
        settings = Settings.load(needs=_NEEDED)
        if settings.job_store == "postgres" and settings.postgres_url is None:
            raise SettingsError("not set: POSTGRES_URL")
        give_up_at = time.monotonic() + parse_go(within)
    except (SettingsError, ValueError) as exc:
        raise click.ClickException(str(exc)) from exc
    resources = Resources(settings)
    letters = _dead_letters(settings, _definition(definition_file, replicas))
    try:
        _until_done(f"bucket {settings.bucket}", resources.storage.prepare, give_up_at)
        write(f"kept: originals {_days(settings.original_retention_s)}, results {_days(settings.result_retention_s)}")
        _until_done("dead-letter stream", letters.prepare, give_up_at)
        if settings.job_store == "postgres":
            _until_done("job store", partial(_prepare_job_store, settings), give_up_at)
    finally:
        letters.close()


def _prepare_job_store(settings: Settings) -> None:
    """Apply the migrations. Those that other versions need stay."""
    from darkroom.adapters.jobs.postgres import schema

    url = settings.postgres_url.get_secret_value() if settings.postgres_url is not None else ""
    for migration in schema.prepare(url):
        write(f"job store: applied migration {migration.number:04} {migration.name}")


def _days(kept_s: float | None) -> str:
    """The storage counts whole days."""
    return "for ever" if kept_s is None else f"{ceil(kept_s / DAY_S)} d"


def _definition(file: Path, replicas: int | None) -> dict[str, Any]:
    try:
        definition: Any = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"{file}: not JSON: {exc}") from exc
    if not isinstance(definition, dict):
        raise click.ClickException(f"{file}: must be a JSON object, the configuration of a stream")
    return definition if replicas is None else {**definition, "num_replicas": replicas}


def _dead_letters(settings: Settings, definition: dict[str, Any]) -> JetStreamDeadLetters:
    url = settings.nats_url.get_secret_value() if settings.nats_url is not None else ""
    folder = settings.nats_tls_folder
    return JetStreamDeadLetters(
        url,
        definition=definition,
        tls_folder=None if folder is None else Path(folder),
        # A cluster elects a leader before it creates a stream.
        deadline_s=15.0,
        answer_timeout_s=10.0,
    )


def _until_done(what: str, make: Callable[[], None], give_up_at: float) -> None:
    while True:
        try:
            make()
        except DependencyUnavailableError as exc:
            if time.monotonic() + _PAUSE_S > give_up_at:
                raise click.ClickException(f"{what}: {exc.detail}") from exc
            tell(f"{what}: waiting ({exc.detail})")
            time.sleep(_PAUSE_S)
        else:
            write(f"{what}: ready")
            return
