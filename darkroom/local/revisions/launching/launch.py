"""The ways in which an instance can be started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The files whose changes restart a function."""

    folders: tuple[Path, ...] = ()
    """Folders of code: files of source code in any depth."""
    named: tuple[Path, ...] = ()
    """What the project file names: files, and every file in folders."""
    entry: Path | None = None
    """A Python file: it and the modules below `root` that it imports are watched."""
    root: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Launch:
    how: str
    """For people, such as `node server.js in functions/confirm (package.json)`."""
    watched: Watched = field(default_factory=Watched)
    notes: tuple[str, ...] = ()
    """Sentences about what may keep it from working, such as packages that are not installed."""


@dataclass(frozen=True, kw_only=True)
class ModuleLaunch(_Launch):
    """A Python module that runs in Darkroom's own interpreter, and may be forked from one that has loaded it."""

    module: str
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Overrides the revision's."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A command that makes the program, run once for each revision."""

    argv: tuple[str, ...]
    cwd: Path
    timeout_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class ProgramLaunch(_Launch):
    """A program of any language."""

    argv: tuple[str, ...]
    """`$PORT`, `${PORT}` and `$(PORT)` in it, and other variables, stand for their values."""
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Overrides the revision's."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Overridden by the revision's."""
    path: tuple[Path, ...] = ()
    """Folders of programs, before those of PATH."""
    expands: bool = True
    """False: `argv` is taken as it is, because a shell expands variables itself."""
    build: Build | None = None


@dataclass(frozen=True, kw_only=True)
class AddressLaunch(_Launch):
    """Somebody else's process, which listens already."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class NoLaunch:
    """There is no known way to start the image; the Service is not run."""

    reason: str
    """A sentence that says what to do."""
    watched: Watched = field(default_factory=Watched)
    notes: tuple[str, ...] = ()


Launch: TypeAlias = ModuleLaunch | ProgramLaunch | AddressLaunch | NoLaunch
