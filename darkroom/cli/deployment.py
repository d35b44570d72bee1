"""The settings of the deployment that a command acts on: those of the environment, or of the running `darkroom up`.

In recovery's image there is no local runtime, so it is imported only where it is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from darkroom.errors import SettingsError
from darkroom.serving.settings import Settings

DEFAULT_DATA = Path(".darkroom")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="DARKROOM_DATA",
    show_default=True,
    help="Folder of the running `darkroom up`, whose settings apply where the environment has no BUCKET_NAME.",
)


def deployment_settings(data: Path, *, needs: frozenset[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the environment where it names a bucket, else those of the stack that runs in `data`.

    Raises click.ClickException.
    """
    variables = environment if environment.get("BUCKET_NAME") else running_settings(data)
    try:
        return Settings.load(needs=needs, environment=variables)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc


def running_settings(data: Path) -> Mapping[str, str]:
    """Return the functions' environment in the stack that runs in `data`. Raises click.ClickException."""
    from darkroom.cli.runtime_file import runtime_addresses
    from darkroom.local.run_folder import SETTINGS_FILE

    runtime_addresses(data)
    path = data / SETTINGS_FILE
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise click.ClickException(f"{path} cannot be used: {reason}; `darkroom up` writes it at its start") from exc
    if not isinstance(found, dict):
        raise click.ClickException(f"{path} cannot be used: it is no JSON object; `darkroom up` writes it at its start")
    return {str(name): str(value) for name, value in found.items()}
