"""Folders and files that commands write: what is wrong with them is told before the work, in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import click


def make_folder(folder: Path, option: str, *, mode: int = 0o777) -> None:
    """Create a folder that can be written to. Raises click.ClickException, which names the option to choose another.

    `mode` is for a new folder only: 0o700 for one that holds credentials.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as exc:
        raise click.ClickException(f"{folder.absolute()} cannot be made: {exc.strerror}; {_choose(option)}") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.ClickException(f"{folder.absolute()} cannot be written to; {_choose(option)}")


def require_writable_file(file: Path, option: str) -> None:
    """Raise click.ClickException if the file could not be written."""
    folder = file.parent
    if file.is_dir():
        raise click.ClickException(f"{file} is a folder; {option} takes the name of a file")
    if not folder.is_dir():
        raise click.ClickException(f"there is no folder {folder.absolute()} for {option} {file}; create it first")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise click.ClickException(f"{file.absolute()} cannot be written; choose another file with {option}")


def _choose(option: str) -> str:
    return f"choose another folder with {option}"
