"""Access to what is behind the API, for operators' commands: the job records, the dead letters, the Broker.

Their addresses are those of the running `darkroom up`, or are passed as options: for a cluster, through
`kubectl port-forward`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from darkroom.adapters.broker.http import HttpEmitter
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.cli.job_store import OpenJobStore, open_job_store
from darkroom.cli.runtime_file import DEFAULT_DATA, runtime_addresses

BROKER_PATH = "darkroom/darkroom"
"""Namespace and name, as in nats-eventing/broker.yaml."""
SCHEMES = {
    "--redis": ("redis", "rediss", "unix"),
    "--postgres": ("postgresql", "postgres"),
    "--nats": ("nats", "tls", "ws", "wss"),
    "--broker": ("http", "https"),
    "--s3": ("http", "https"),
}


@dataclass(frozen=True, kw_only=True)
class Backends:
    jobs: OpenJobStore
    letters: JetStreamDeadLetters
    emitter: HttpEmitter | None
    """None: the Broker's address is unknown. Then recovery's next sweep emits the events of queued jobs."""


def backend_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option(
            "--redis",
            "redis_url",
            envvar="REDIS_URL",
            help="Redis with the job records (redis://...); or set POSTGRES_URL.",
        ),
        click.option("--nats", "nats_url", envvar="NATS_URL", help="NATS with the dead letters (nats://...)."),
        click.option("--broker", "broker_url", envvar="K_SINK", help="The Broker's ingress (http://...)."),
        click.option(
            "--data",
            type=click.Path(path_type=Path, file_okay=False),
            default=DEFAULT_DATA,
            envvar="DARKROOM_DATA",
            show_default=True,
            help="Folder of the running `darkroom up`, which provides the addresses that are not given.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def open_backends(
    redis_url: str | None, nats_url: str | None, broker_url: str | None, data: Path
) -> Iterator[Backends]:
    """Open the backends. If the job store and NATS are given, `darkroom up` need not run."""
    if redis_url is not None:
        usable_url("--redis", redis_url)
    if nats_url is None or (redis_url is None and not os.environ.get("POSTGRES_URL")):
        local = runtime_addresses(data)
        nats_url = nats_url or local.nats
        broker_url = broker_url or f"{local.broker}/{BROKER_PATH}"
    backends = Backends(
        jobs=open_job_store(redis_url, data),
        letters=JetStreamDeadLetters(usable_url("--nats", nats_url), tls_folder=_tls_folder()),
        emitter=HttpEmitter(usable_url("--broker", broker_url)) if broker_url else None,
    )
    try:
        yield backends
    finally:
        backends.jobs.close()
        backends.letters.close()
        if backends.emitter is not None:
            backends.emitter.close()


def usable_url(option: str, url: str) -> str:
    """Return the URL. Raises click.UsageError if it cannot be one of this option's."""
    schemes = SCHEMES[option]
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        usable = parts.scheme in schemes and (parts.port or 1) > 0 and bool(parts.hostname or parts.scheme == "unix")
    except ValueError:
        usable = False
    if not usable:
        shown = url.rpartition("@")[2]  # without a password
        raise click.UsageError(f"{option} takes an address such as {schemes[0]}://HOST:PORT, was {shown!r}")
    return url


def region_of_s3(s3_url: str | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the setting that names the region of the user's own S3 server, where the environment does. Raises
    click.UsageError.
    """
    if s3_url is None:
        return {}
    # Imported only here, because it takes thirty milliseconds for which other commands need not wait.
    from darkroom.serving.settings import REGION

    for name in ("STORAGE_REGION", "AWS_REGION"):
        region = environment.get(name)
        if region:
            if not re.fullmatch(REGION, region):
                raise click.UsageError(f"{name} must be a region such as eu-central-1, was {region!r}")
            return {"STORAGE_REGION": region}
    return {}


def _tls_folder() -> Path | None:
    """Return the folder of ca.crt, tls.crt and tls.key, for a NATS that authenticates users by certificates."""
    folder = os.environ.get("NATS_TLS_FOLDER")
    return Path(folder) if folder else None
