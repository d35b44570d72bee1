"""Finds the folder of a function's source from the names that its manifest has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from darkroom.manifests.images import repository_of
from darkroom.manifests.revision import Revision

PLACES = (".", "functions", "services", "cmd", "apps", "src")
"""Folders below the root in which functions' folders usually are."""


def function_folder(revision: Revision, root: Path, *, is_only: bool) -> Path | None:
    """Return the folder named as the Service or its image; else the root, if the project `is_only` this Service."""
    for folder in _candidates(revision, root):
        if folder.is_dir() and _has_files(folder):
            return folder
    return root if is_only else None


def _candidates(revision: Revision, root: Path) -> Iterator[Path]:
    for name in dict.fromkeys((revision.service, repository_of(revision.image).rpartition("/")[2])):
        # Python's packages have underscores where Kubernetes' names have hyphens.
        for spelling in dict.fromkeys((name, name.replace("-", "_"))):
            if spelling:
                yield from (root / place / spelling for place in PLACES)


def _has_files(folder: Path) -> bool:
    """Report whether there are files: a folder of manifests may have a Service's name too."""
    return (
        any(entry.is_file() and entry.suffix not in (".yaml", ".yml", ".md") for entry in folder.iterdir())
        or (folder / "func.yaml").is_file()
    )


def shown(path: Path, root: Path) -> str:
    """Return a path as a person in the root folder would type it."""
    try:
        relative = path.resolve().relative_to(root.resolve())
    except ValueError:
        return str(path)
    return str(relative)
