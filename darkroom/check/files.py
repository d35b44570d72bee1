"""Finds the YAML files below a path, and those of them that belong to a kustomization and are no manifests."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darkroom.manifests.files import KUSTOMIZATIONS
from darkroom.manifests.source import ReadError, read_text, scan

_SUFFIXES = (".yaml", ".yml")
_SKIPPED_FOLDERS = {
    ".git", ".hg", ".svn", ".venv", ".tox", ".terraform", ".mypy_cache", ".pytest_cache", "__pycache__", "node_modules",
}  # fmt: skip


@dataclass(kw_only=True)
class Found:
    files: list[Path] = field(default_factory=list)
    """Each file once, however many paths or symbolic links lead to it."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Directories that could not be listed, with the reason."""


def find_files(paths: list[Path]) -> Found:
    """List the files themselves, and every YAML file below the directories, in the order of their names.

    Symbolic links to directories are not followed, so that no loop is entered. What is no regular file is left out
    below a directory: reading a pipe would wait forever.
    """
    found = Found()
    seen: set[str] = set()
    for path in paths:
        for file in _below(path, found) if path.is_dir() else [path]:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                found.files.append(file)
    return found


def _below(top: Path, found: Found) -> Iterator[Path]:
    def cannot_list(error: OSError) -> None:
        found.unreadable[Path(error.filename)] = error.strerror or str(error)

    for folder, folders, names in os.walk(top, onerror=cannot_list):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            # Editors leave locks such as .#broker.yaml, which are links to nowhere.
            if name.endswith(_SUFFIXES) and not name.startswith(".#") and _may_be_read(Path(folder, name)):
                yield Path(folder, name)


def _may_be_read(file: Path) -> bool:
    try:
        mode = file.stat().st_mode
    except OSError:
        return True  # Reading it tells why it cannot be read.
    return stat.S_ISREG(mode)


# --- kustomizations --------------------------------------------------------------------------------------------------


def is_kustomization(file: Path) -> bool:
    return file.name in KUSTOMIZATIONS


def kustomize_parts(files: list[Path]) -> set[str]:
    """The real paths of patches, generated files and values that the kustomizations beside the files name.

    A patch looks like a manifest and is only a part of one.
    """
    parts: set[str] = set()
    for folder in dict.fromkeys(file.parent for file in files):
        for name in KUSTOMIZATIONS:
            parts |= {os.path.realpath(folder / each) for each in _parts_of(folder / name)}
    return parts


def _parts_of(file: Path) -> Iterator[str]:
    if not file.is_file():
        return
    try:
        documents = scan(read_text(file), file).documents
    except ReadError:
        return  # Checking the file itself reports it.
    for document in documents:
        if isinstance(document.data, dict):
            yield from _named_files(document.data)


def _named_files(kustomization: dict[str, Any]) -> Iterator[str]:
    for key in ("patchesStrategicMerge", "configurations", "transformers", "generators", "crds"):
        yield from (each for each in _list(kustomization, key) if isinstance(each, str) and "\n" not in each)
    for key in ("patches", "patchesJson6902", "replacements", "helmCharts"):
        for each in _list(kustomization, key):
            for name in ("path", "valuesFile"):
                if isinstance(each, dict) and isinstance(each.get(name), str):
                    yield each[name]
    for key in ("configMapGenerator", "secretGenerator"):
        for each in _list(kustomization, key):
            for name in ("files", "envs"):
                named = _list(each, name) if isinstance(each, dict) else []
                yield from (str(file).rpartition("=")[2] for file in named)


def _list(mapping: dict[str, Any], key: str) -> list[Any]:
    found = mapping.get(key)
    return found if isinstance(found, list) else []
