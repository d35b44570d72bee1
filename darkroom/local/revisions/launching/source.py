"""What the detectors are told about one function: its revision, its folder, and what the project file says of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from darkroom.local.revisions.launching.environments import Environment, environment_of, missing_packages
from darkroom.local.revisions.launching.folders import shown
from darkroom.local.revisions.launching.launch import NoLaunch, ProgramLaunch, Watched
from darkroom.local.revisions.launching.words import Words, split
from darkroom.manifests.images import ImageSettings, repository_of
from darkroom.manifests.project import PROJECT_FILE
from darkroom.manifests.revision import Revision


@dataclass(frozen=True, kw_only=True)
class Source:
    revision: Revision
    folder: Path
    """The function's own; the project's root, if none was found."""
    root: Path
    data: Path
    """Where programs are built."""
    settings: ImageSettings

    @cached_property
    def environment(self) -> Environment:
        """Raises NoInterpreterError."""
        return environment_of(self.folder, self.root, named=self.settings.python)

    @property
    def where(self) -> str:
        return shown(self.folder, self.root)

    @property
    def watched(self) -> Watched:
        if self.settings.watch:
            return Watched(named=tuple(self.root / name for name in self.settings.watch))
        return Watched(folders=(self.folder,))

    def watched_python(self, entry: Path) -> Watched:
        """Return what a Python function consists of: its folder, unless that is the root, and what it imports."""
        if self.settings.watch:
            return self.watched
        folders = () if self.folder.resolve() == self.root.resolve() else (self.folder,)
        return Watched(folders=folders, entry=entry, root=self.root)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def find_program(self, name: str, *folders: Path) -> str | None:
        """Return a program's path: from the function's folder, its environment, or PATH."""
        if "/" in name:
            path = self.folder / name
            return str(path.absolute()) if path.is_file() and os.access(path, os.X_OK) else None
        places = [str(folder) for folder in (*folders, *self.environment.programs)]
        return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", os.defpath)]))

    def program(self, line: str, found_in: str, *folders: Path) -> ProgramLaunch | NoLaunch:
        """Return how a command line is run, or that its program is not there."""
        words = split(line)
        if self.find_program(words.argv[0], *folders) is None:
            return self.nothing(f"{found_in} starts {words.argv[0]}, which is neither in {self.where} nor on PATH")
        return self.launch(words, f"{line} ({found_in})", *folders)

    def launch(self, words: Words, how: str, *folders: Path) -> ProgramLaunch:
        environment = self.environment
        return ProgramLaunch(
            how=how,
            argv=words.argv,
            cwd=self.folder,
            env={**environment.variables, **words.env},
            path=(*folders, *environment.programs),
            expands=not words.is_shell,
            watched=self.watched,
            notes=missing_packages(environment, self.folder, self.root),
        )

    def nothing(self, why: str, *, command: str = '["PROGRAM", "ARGUMENT"]') -> NoLaunch:
        """Return why the function is not run, and which lines of the project file would change that.

        The watched folder may become one that can be run.
        """
        return NoLaunch(
            reason=f"no way to start image {self.revision.image} is known: {why}; put {self.entry(command)}",
            watched=self.watched if self.folder.resolve() != self.root.resolve() else Watched(),
        )

    def entry(self, command: str) -> str:
        """Return the entry of the project file for a command."""
        path = "" if self.where == "." else f'path = "{self.where}" and '
        return f'[images."{repository_of(self.revision.image)}"] with {path}command = {command} into {PROJECT_FILE}'
