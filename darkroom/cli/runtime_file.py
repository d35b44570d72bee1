"""Reads the addresses of a running `darkroom up` from a file in its data folder, which is written once it is ready."""

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
    """Return the addresses of the running stack. Raises click.ClickException if nothing runs there."""
    path = data / "runtime.json"
    try:
        return Addresses(**json.loads(path.read_text())["addresses"])
    except FileNotFoundError as exc:
        raise click.ClickException(
            f"nothing is running in {data}: start it with `darkroom up`, or give its folder with --data"
        ) from exc


def runtime_redis(data: Path) -> str:
    """Return the running stack's Redis URL. Raises click.ClickException if nothing runs there, or it has no Redis."""
    url = runtime_addresses(data).redis
    if url is None:
        raise click.ClickException(f"the project running in {data} has no Redis, and therefore no job records")
    return url
