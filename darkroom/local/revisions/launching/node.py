"""Node.js programs: the command of package.json's start script, without npm, so that signals reach the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from darkroom.local.revisions.launching.launch import NoLaunch, ProgramLaunch
from darkroom.local.revisions.launching.source import Source
from darkroom.local.revisions.launching.words import Words

PACKAGE_FILE = "package.json"
DEFAULT_MAINS = ("server.js", "index.js")
"""What npm starts where package.json names nothing, and what Node.js takes for a package."""


def package(source: Source) -> ProgramLaunch | NoLaunch | None:
    if not source.has(PACKAGE_FILE):
        return None
    try:
        data: Any = json.loads((source.folder / PACKAGE_FILE).read_bytes())
    except ValueError as exc:
        return source.nothing(f"its {PACKAGE_FILE} cannot be read: {exc}")
    if not isinstance(data, dict):
        return source.nothing(f"its {PACKAGE_FILE} is no object")
    if source.find_program("node") is None:
        return source.nothing(f"{PACKAGE_FILE} needs node, which is not on PATH; install Node.js, or name a program")
    command = _command(source, data)
    if command is None:
        return source.nothing(
            f"{PACKAGE_FILE} has no start script and names no main file", command='["node", "FILE.js"]'
        )
    missing = _not_installed(source, data)
    found = source.launch(command, "", *_programs(source)) if isinstance(command, Words) else _script(source, command)
    if isinstance(found, NoLaunch):
        return NoLaunch(reason=" ".join((found.reason, *missing)), watched=found.watched)
    how = command if isinstance(command, str) else " ".join(command.argv)
    return ProgramLaunch(
        how=f"{how} in {source.where} ({PACKAGE_FILE})",
        argv=found.argv,
        cwd=found.cwd,
        env=found.env,
        path=found.path,
        expands=found.expands,
        watched=found.watched,
        notes=missing,
    )


def _command(source: Source, data: dict[str, Any]) -> str | Words | None:
    """Return the start script, or the words that start the main file."""
    scripts = data.get("scripts")
    start = scripts.get("start") if isinstance(scripts, dict) else None
    if isinstance(start, str) and start.strip():
        return start
    named = data.get("main")
    for main in (named, *DEFAULT_MAINS):
        if isinstance(main, str) and source.has(main):
            return Words(argv=("node", main))
    return None


def _script(source: Source, line: str) -> ProgramLaunch | NoLaunch:
    return source.program(line, PACKAGE_FILE, *_programs(source))


def _programs(source: Source) -> tuple[Path, ...]:
    """Return where the programs of packages are: in the function's folder, and in the root of a workspace."""
    folders = dict.fromkeys((source.folder, source.root))
    return tuple(folder / "node_modules" / ".bin" for folder in folders)


def _not_installed(source: Source, data: dict[str, Any]) -> tuple[str, ...]:
    dependencies = data.get("dependencies")
    missing = [name for name in dependencies if not _has(source, name)] if isinstance(dependencies, dict) else []
    if not missing:
        return ()
    listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    folder = f"npm --prefix {source.where} install"
    return (f"{PACKAGE_FILE} lists {listed}, which node_modules lacks; install with: {folder}",)


def _has(source: Source, name: str) -> bool:
    return any((folder / "node_modules" / name).is_dir() for folder in dict.fromkeys((source.folder, source.root)))
