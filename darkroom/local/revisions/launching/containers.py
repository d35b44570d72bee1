"""The container's own `command` and `args`, if the program that they name is on this machine too."""

from __future__ import annotations

import re
from pathlib import Path

from darkroom.local.revisions.launching.launch import ProgramLaunch
from darkroom.local.revisions.launching.source import Source
from darkroom.local.revisions.launching.words import Words

_SOURCE_FILE = re.compile(r"/\S+\.(py|js|mjs|cjs|ts|sh|rb|php|jar|dll|pl)")


def container_command(source: Source) -> ProgramLaunch | None:
    """Return how the container's command is run here; None if there is none, or not here."""
    command = source.revision.command
    if not command or source.find_program(command[0]) is None:
        return None
    words = (*command, *source.revision.args)
    if any(_SOURCE_FILE.fullmatch(word) and not Path(word).is_file() for word in words):
        return None  # A file of the image, which is not on this machine.
    return source.launch(Words(argv=words), f"{' '.join(words)} (the container's command)")


def missing_command(source: Source) -> str:
    """Return why the container's command is not run; empty if it has none."""
    command = source.revision.command
    return f"the container's command is {command[0]}, which is not on this machine" if command else ""
