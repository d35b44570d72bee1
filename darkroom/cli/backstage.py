"""What lies behind the API, for the commands of operators: the job records, the dead letters, the Broker.

Their addresses are those of the running `darkroom up`, or are given: in a cluster through `kubectl port-forward`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from darkroom.adapters.broker.http import HttpEmitter
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.cli.runtime_file import DEFAULT_DATA, runtime_addresses, runtime_redis
from darkroom.contract.errors import DarkroomError

BROKER_PATH = "darkroom/darkroom"
"""Namespace and name, as in nats-eventing/broker.yaml."""


@dataclass(frozen=True, kw_only=True)
class Backstage:
    jobs: RedisJobStore
    letters: JetStreamDeadLetters
    emitter: HttpEmitter | None
    """None: no Broker is known. What is queued is emitted by recovery's next sweep then."""


def backstage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--redis", "redis_url", envvar="REDIS_URL", help="The job records (redis://...)."),
        click.option("--nats", "nats_url", envvar="NATS_URL", help="The dead letters (nats://...)."),
        click.option("--broker", "broker_url", envvar="K_SINK", help="The Broker's ingress (http://...)."),
        click.option(
            "--data",
            type=click.Path(path_type=Path, file_okay=False),
            default=DEFAULT_DATA,
            envvar="DARKROOM_DATA",
            show_default=True,
            help="Folder of the running `darkroom up`, which knows what is not given.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def backstage(redis_url: str | None, nats_url: str | None, broker_url: str | None, data: Path) -> Iterator[Backstage]:
    """Errors of the servers become messages. With both servers given, nothing need run here."""
    if redis_url is None or nats_url is None:
        here = runtime_addresses(data)
        redis_url, nats_url = redis_url or runtime_redis(data), nats_url or here.nats
        broker_url = broker_url or f"{here.broker}/{BROKER_PATH}"
    behind = Backstage(
        jobs=RedisJobStore(redis_url),
        letters=JetStreamDeadLetters(nats_url, tls_folder=_tls_folder()),
        emitter=HttpEmitter(broker_url) if broker_url else None,
    )
    try:
        yield behind
    except DarkroomError as exc:
        raise click.ClickException(f"{exc.code}: {exc.detail}") from exc
    finally:
        behind.jobs.close()
        behind.letters.close()
        if behind.emitter is not None:
            behind.emitter.close()


def _tls_folder() -> Path | None:
    """Where ca.crt, tls.crt and tls.key are, for a NATS that knows its users by their certificates."""
    folder = os.environ.get("NATS_TLS_FOLDER")
    return Path(folder) if folder else None
