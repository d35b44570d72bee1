"""Follows the imports of a Python file through a project, to know which of its files a function consists of.

Files are read, not run: imports inside functions count, those by computed names do not.
"""

from __future__ import annotations

import ast
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 2 * 2**20
MAX_FILES = 5000
FOUND_FOR_S = 15.0
"""How long a module is taken to be where it was found, or nowhere, unless a file changes before."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    stamp: tuple[int, int]
    imports: tuple[tuple[int, str], ...]
    """The level (0: absolute) and the dotted name of each import."""


class ImportedFiles:
    """Finds the files that an entry file imports, directly or not. A file is read again only when it has changed."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Read] = {}
        self._found: dict[tuple[str, tuple[str, ...], str], tuple[str, ...]] = {}
        """The files of a dotted name, by the folders where it is looked for and the root."""
        self._found_at = clock()

    def of(self, entry: Path, root: Path) -> dict[str, os.stat_result]:
        """Return the entry and the imported files below `root`, with what stat says of them.

        Modules are looked for in the entry's folder and in the root, as functions-framework and PYTHONPATH do.
        """
        if self._clock() - self._found_at > FOUND_FOR_S:
            self._look_again()
        top, base = os.path.realpath(entry), os.path.realpath(root)
        places = tuple(dict.fromkeys((os.path.dirname(top), base)))
        found: dict[str, os.stat_result] = {}
        waiting = [top]
        while waiting and len(found) < MAX_FILES:
            path = waiting.pop()
            if path in found:
                continue
            try:
                found[path] = status = os.stat(path)
            except OSError:
                continue  # It was removed, or is not ours to read.
            for level, name in self._imports(path, status):
                waiting += self._files(name, _places(path, level, places), base)
        return found

    def _files(self, name: str, places: tuple[str, ...], base: str) -> tuple[str, ...]:
        key = (name, places, base)
        files = self._found.get(key)
        if files is None:
            files = self._found[key] = tuple(_files(name, places, base))
        return files

    def _look_again(self) -> None:
        self._found.clear()
        self._found_at = self._clock()

    def _imports(self, path: str, status: os.stat_result) -> tuple[tuple[int, str], ...]:
        stamp = status.st_mtime_ns, status.st_size
        known = self._known.get(path)
        if known is None or known.stamp != stamp:
            if known is not None:
                self._look_again()
            known = self._known[path] = _Read(stamp=stamp, imports=tuple(dict.fromkeys(_read(path, status))))
        return known.imports


def _read(path: str, status: os.stat_result) -> Iterator[tuple[int, str]]:
    if status.st_size > MAX_FILE_BYTES:
        return
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return  # Half saved, perhaps: when it is whole, it has changed again.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield node.level, module
            # What is imported from a package may be a module of it.
            yield from ((node.level, f"{module}.{alias.name}".strip(".")) for alias in node.names)


def _places(path: str, level: int, places: tuple[str, ...]) -> tuple[str, ...]:
    """Return where a name is looked for: relative imports begin at the file's own package."""
    if level == 0:
        return places
    folder = os.path.dirname(path)
    for _ in range(level - 1):
        folder = os.path.dirname(folder)
    return (folder,)


def _files(name: str, places: tuple[str, ...], base: str) -> Iterator[str]:
    """Yield the files that importing a dotted name loads: each package on the way, and the module."""
    for place in places:
        parts = name.split(".") if name else []
        found = list(_steps(place, parts))
        if found or not parts:
            yield from (file for file in found if file.startswith(base + os.sep))
            return


def _steps(place: str, parts: list[str]) -> Iterator[str]:
    folder = place
    for part in parts:
        package = os.path.join(folder, part)
        init, module = os.path.join(package, "__init__.py"), f"{package}.py"
        if os.path.isfile(init):
            yield init
        elif os.path.isfile(module):
            yield module
            return
        elif not os.path.isdir(package):
            return
        folder = package
