"""What a file's extension says about its format: `-o small.png` asks for a PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

_FORMATS = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".png": "png",
    ".webp": "webp",
    ".avif": "avif",
    ".gif": "gif",
}


def format_of(file: Path) -> str | None:
    """Return the format that the extension names; None if it names none that Darkroom makes."""
    return _FORMATS.get(file.suffix.lower())


def with_format_of(out: Path, parameters: Mapping[str, str], *, source: Path) -> dict[str, str]:
    """Return the parameters with the format that the result's name asks for, where the original's name says another.

    Raises click.UsageError if `--format` says another format than the name.
    """
    wanted, chosen = format_of(out), parameters.get("format")
    if wanted is None or chosen == "keep":
        return dict(parameters)
    if chosen is not None and chosen != wanted:
        raise click.UsageError(f"--format {chosen} contradicts -o {out}; leave one out, or name the file *.{chosen}")
    return {**parameters, "format": wanted} if format_of(source) != wanted else dict(parameters)
