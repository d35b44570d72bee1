"""Where a running `darkroom up` can be found: a small file in its data folder, written when all is ready."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkroom.local.addresses import Addresses

DEFAULT_DATA = Path(".darkroom")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="DARKROOM_DATA",
    show_default=True,
    help="Folder of the running `darkroom up`.",
)


def runtime_addresses(data: Path) -> Addresses:
    """Raises click.ClickException when nothing runs there."""
    path = data / "runtime.json"
    try:
        return Addresses(**json.loads(path.read_text())["addresses"])
    except FileNotFoundError as exc:
        raise click.ClickException(
            f"nothing runs in {data}: start it with `darkroom up`, or name its folder with --data"
        ) from exc


def runtime_redis(data: Path) -> str:
    """Raises click.ClickException when nothing runs there, or without a Redis."""
    url = runtime_addresses(data).redis
    if url is None:
        raise click.ClickException(f"the project that runs in {data} has no Redis, so it has no job records")
    return url
