"""The `web:` line of a Procfile, as buildpacks run it."""

from __future__ import annotations

import re

from darkroom.local.revisions.launching.launch import NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.source import Source

PROCFILE = "Procfile"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")


def web_process(source: Source) -> ProgramLaunch | NoLaunch | None:
    if not source.has(PROCFILE):
        return None
    lines = (source.folder / PROCFILE).read_text(errors="replace").splitlines()
    found = {match["name"]: match["command"].strip() for line in lines if (match := _LINE.fullmatch(line.strip()))}
    if "web" not in found:
        listed = f"; it has {', '.join(found)}" if found else ""
        return source.nothing(f"its {PROCFILE} has no line that begins with web:{listed}")
    return source.program(found["web"], PROCFILE)
