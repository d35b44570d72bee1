"""Lists the files of a folder in the order of their keys, a page at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from darkroom.adapters.storage import LISTED_AT_ONCE, ListedObject


def list_pages(root: Path, prefix: str, after: str) -> Iterator[Sequence[ListedObject]]:
    """Yield the files below `prefix`, which ends in `/`, whose key comes after `after`. Raises OSError."""
    found = (file for file in _files(root, prefix) if file.key > after)
    while page := list(islice(found, LISTED_AT_ONCE)):
        yield page


def _files(root: Path, folder: str) -> Iterator[ListedObject]:
    """Walk a folder. Keys are ordered as whole texts, so a subfolder comes where its name with a `/` belongs."""
    try:
        with os.scandir(root / folder) as entries:
            names = sorted(f"{folder}{entry.name}/" if entry.is_dir() else f"{folder}{entry.name}" for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.endswith("/"):
            yield from _files(root, name)
        elif (found := _listed(root, name)) is not None:
            yield found


def _listed(root: Path, key: str) -> ListedObject | None:
    """None: the file was deleted meanwhile."""
    try:
        status = (root / key).stat()
    except FileNotFoundError:
        return None
    stored_at = datetime.fromtimestamp(status.st_mtime, tz=UTC)
    return ListedObject(key=key, size_bytes=status.st_size, stored_at=stored_at)
