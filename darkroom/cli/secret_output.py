"""Writes a secret that is shown once into a file of its own."""

from __future__ import annotations

import os
from pathlib import Path

import click


def write_new_secret(out: Path, secret: str) -> None:
    """Write a file that did not exist, readable by its owner alone from its first moment on. Raises
    click.ClickException."""
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(secret + "\n")
    except FileExistsError as exc:
        raise click.ClickException(f"{out} exists already; choose another file, so that no secret is lost") from exc
    except OSError as exc:
        raise click.ClickException(f"{out}: {exc.strerror or type(exc).__name__}") from exc
