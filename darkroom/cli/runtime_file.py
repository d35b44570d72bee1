"""Reads the addresses of a running `darkroom up` from a file in its data folder, which is written once it is ready."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

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
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise click.ClickException(
            f"nothing is running in {data.absolute()}: start it with `darkroom up`, change to the folder where it "
            "runs, or give its data folder with --data"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise _unusable(path, getattr(exc, "strerror", None) or "it is not UTF-8 text") from exc
    try:
        return _addresses_of(json.loads(text))
    except (ValueError, RecursionError) as exc:
        raise _unusable(path, str(exc)) from exc


def runtime_redis(data: Path) -> str:
    """Return the running stack's Redis URL. Raises click.ClickException if nothing runs there, or it has no Redis."""
    url = runtime_addresses(data).redis
    if url is None:
        raise click.ClickException(f"the project running in {data} has no Redis, and therefore no job records")
    return url


def _addresses_of(document: Any) -> Addresses:
    """Parse the file's content; fields of another version are left out. Raises ValueError."""
    found = document.get("addresses") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise ValueError("it has no addresses")
    known = {field.name: field for field in fields(Addresses)}
    given = {name: value for name, value in found.items() if name in known and value is not None}
    wrong = [name for name, value in given.items() if not isinstance(value, str) or "://" not in value]
    missing = [name for name, field in known.items() if field.default is MISSING and name not in given]
    if wrong or missing:
        raise ValueError(f"it has no usable address of {', '.join(wrong + missing)}")
    return Addresses(**given)


def _unusable(path: Path, why: str) -> click.ClickException:
    return click.ClickException(
        f"{path} cannot be used: {why}. It was damaged, or another version of Darkroom wrote it; `darkroom up` writes "
        "it anew when it is started again"
    )
